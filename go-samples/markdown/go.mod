module probelab.dev/go-samples/markdown

go 1.26.0

toolchain go1.26.8

require (
	github.com/VictoriaMetrics/metrics v1.45.0
	gitlab.com/golang-commonmark/markdown v0.0.0-20211110145824-bf3e522c626a
	probelab.dev/go-samples/kit v0.0.0
)

require (
	github.com/valyala/fastrand v1.1.0 // indirect
	github.com/valyala/histogram v1.2.0 // indirect
	gitlab.com/golang-commonmark/html v0.0.0-20191124015941-a22733972181 // indirect
	gitlab.com/golang-commonmark/linkify v0.0.0-20191026162114-a0c2df6c8f82 // indirect
	gitlab.com/golang-commonmark/mdurl v0.0.0-20191124015652-932350d1cb84 // indirect
	gitlab.com/golang-commonmark/puny v0.0.0-20191124015043-9f83538fa04f // indirect
	golang.org/x/sys v0.38.0 // indirect
	golang.org/x/text v0.44.0 // indirect
)

replace probelab.dev/go-samples/kit => ../kit
