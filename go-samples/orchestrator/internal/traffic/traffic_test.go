package traffic

import (
	"strings"
	"testing"

	"probelab.dev/go-samples/kit/load"
	"probelab.dev/go-samples/kit/servicetest"
)

func TestStreams(t *testing.T) { servicetest.Streams(t, Request) }

func TestMixesDiffer(t *testing.T) {
	listings := map[load.Mix]int{}
	for m := range mixes {
		for k := range 500 {
			if r := (load.Stream{Mix: m, Seed: 1, Length: 500, Make: Request}).Request(k); strings.HasPrefix(r.Path, "/listing") {
				listings[m]++
			}
		}
	}
	if listings[load.Train] == 0 || listings[load.Train]*3 > listings[load.Test]*2 {
		t.Errorf("listings of 500: %v", listings)
	}
}

func TestWhole(t *testing.T) {
	if err := whole([]byte(`{"items":[{"id":1}]}`)); err != nil {
		t.Error(err)
	}
	for _, reply := range []string{`{"items":[]}`, `{"items":[{"id":1}],"partial":["stock"]}`, ``} {
		if whole([]byte(reply)) == nil {
			t.Errorf("%s passes as whole", reply)
		}
	}
}
