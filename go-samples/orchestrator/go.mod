module probelab.dev/go-samples/orchestrator

go 1.26.0

toolchain go1.26.8

require (
	github.com/VictoriaMetrics/metrics v1.45.0
	probelab.dev/go-samples/kit v0.0.0
)

require (
	github.com/valyala/fastrand v1.1.0 // indirect
	github.com/valyala/histogram v1.2.0 // indirect
	golang.org/x/sys v0.38.0 // indirect
)

replace probelab.dev/go-samples/kit => ../kit
