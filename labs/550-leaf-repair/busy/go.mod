module probelab.dev/labs/leaf-repair/busy

go 1.26
