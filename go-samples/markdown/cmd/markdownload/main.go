// Command markdownload drives the Markdown service with fixed, seeded work and
// prints what it did as one JSON object.
//
//	markdownload --addr 127.0.0.1:8080 --seed 1 --requests 2000 --mix train
//
// Exit codes: 0 all requests succeeded, 1 some failed, 2 wrong use.
package main

import (
	"probelab.dev/go-samples/kit/load"
	"probelab.dev/go-samples/markdown/internal/corpus"
)

func main() {
	load.Main("markdownload", nil, func() (load.Maker, error) { return corpus.Request, nil })
}
