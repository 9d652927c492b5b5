module probelab.dev/go-samples/monorepo

go 1.26.0

toolchain go1.26.8

replace probelab.dev/go-samples/kit => ../kit

require (
	github.com/VictoriaMetrics/metrics v1.45.0
	github.com/cespare/xxhash/v2 v2.3.0
	github.com/klauspost/compress v1.20.3
	golang.org/x/time v0.16.0
	google.golang.org/protobuf v1.36.12
	probelab.dev/go-samples/kit v0.0.0
)

require (
	github.com/valyala/fastrand v1.1.0 // indirect
	github.com/valyala/histogram v1.2.0 // indirect
	golang.org/x/sys v0.38.0 // indirect
)
