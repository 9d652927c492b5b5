module probelab.dev/labs/sample-stacks/busy

go 1.26
