module probelab.dev/labs/off-cpu/waits

go 1.26
