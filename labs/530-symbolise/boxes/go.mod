module probelab.dev/labs/symbolise/boxes

go 1.26
