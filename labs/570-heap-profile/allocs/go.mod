module probelab.dev/labs/heap-profile/allocs

go 1.26
