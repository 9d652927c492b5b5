// Package e2e tests the built programs from outside.
package e2e

import (
	"strings"
	"syscall"
	"testing"

	"probelab.dev/go-samples/kit/servicetest"
	"probelab.dev/go-samples/monorepo/internal/traffic"
)

func TestMain(m *testing.M) { servicetest.Main(m) }

// Every service answers its whole load, of both mixes, and ends in order.
func TestLoads(t *testing.T) {
	for _, name := range traffic.Services() {
		t.Run(name, func(t *testing.T) {
			d := servicetest.Start(t, name, "serve")
			for _, mix := range []string{"train", "test"} {
				res := d.Load(t, "load", "--service", name, "--mix", mix, "--requests", "40", "--workers", "2")
				if res.Requests != 40 || res.Received == 0 || string(res.Mix) != mix {
					t.Errorf("%+v", res)
				}
			}
			_, counters := d.Get(t, "/metrics")
			if !strings.Contains(counters, "\n"+name+"_replies_total{") || !strings.Contains(counters, "\ngo_gc_duration_seconds") {
				t.Errorf("counters are missing:\n%s", counters)
			}
			if status, _ := d.Get(t, "/debug/pprof/goroutine"); status != 200 {
				t.Errorf("/debug/pprof/goroutine: %d", status)
			}
			if code := d.Stop(t, syscall.SIGTERM); code != 0 || d.Stderr() != "" {
				t.Errorf("exit %d\n%s", code, d.Stderr())
			}
		})
	}
}

func TestMistakesOfUse(t *testing.T) {
	servicetest.Mistakes(t, map[string]servicetest.Mistake{
		"not loopback":    {Program: "codec", Args: []string{"serve", "--addr", "0.0.0.0:0"}, Code: 2, Says: "add --expose if you mean it"},
		"a small town":    {Program: "router", Args: []string{"serve", "--side", "1"}, Code: 2, Says: "it must be 2 to 1000"},
		"no such policy":  {Program: "cached", Args: []string{"serve", "--policy", "fifo"}, Code: 2, Says: "lru or lfu"},
		"load of what":    {Program: "load", Args: []string{"--mix", "test"}, Code: 2, Says: "--service is \"\"; it must be one of cached, codec"},
		"load: mix":       {Program: "load", Args: []string{"--service", "codec", "--mix", "both"}, Code: 2, Says: "train or test"},
		"load: no answer": {Program: "load", Args: []string{"--service", "codec", "--addr", "127.0.0.1:1", "--requests", "2"}, Code: 1, Says: "2 of 2 requests failed"},
	})
}
