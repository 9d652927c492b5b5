module probelab.dev/labs/write-pprof/busy

go 1.26
