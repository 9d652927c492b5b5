module probelab.dev/labs/overhead/busy

go 1.26
