// Command orchestratorload drives the orchestrator with fixed, seeded work and
// prints what it did as one JSON object.
//
//	orchestratorload --addr 127.0.0.1:8080 --seed 1 --requests 2000 --mix train
//
// Exit codes: 0 all requests succeeded, 1 some failed, 2 wrong use.
package main

import (
	"probelab.dev/go-samples/kit/load"
	"probelab.dev/go-samples/orchestrator/internal/traffic"
)

func main() {
	load.Main("orchestratorload", nil, func() (load.Maker, error) { return traffic.Request, nil })
}
