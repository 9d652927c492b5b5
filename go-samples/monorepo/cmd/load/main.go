// Command load drives any of the services with fixed, seeded work and prints
// what it did as one JSON object.
//
//	load --service gateway --addr 127.0.0.1:8080 --seed 1 --requests 2000 --mix train
//
// Exit codes: 0 all requests succeeded, 1 some failed, 2 wrong use.
package main

import (
	"flag"
	"strings"

	"probelab.dev/go-samples/kit/load"
	"probelab.dev/go-samples/monorepo/internal/traffic"
)

func main() {
	var service string
	load.Main("load", func(fs *flag.FlagSet) {
		fs.StringVar(&service, "service", "", "`NAME` of the service: "+strings.Join(traffic.Services(), ", "))
	}, func() (load.Maker, error) { return traffic.For(service) })
}
