module probelab.dev/labs/profiler-in-c/busy

go 1.26
