module probelab.dev/labs/unwind-go/busy

go 1.26
