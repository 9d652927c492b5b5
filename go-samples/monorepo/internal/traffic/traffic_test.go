package traffic

import (
	"strings"
	"testing"

	"probelab.dev/go-samples/kit/servicetest"
)

func TestStreams(t *testing.T) {
	for _, name := range Services() {
		t.Run(name, func(t *testing.T) {
			maker, err := For(name)
			if err != nil {
				t.Fatal(err)
			}
			servicetest.Streams(t, maker)
		})
	}
}

func TestUnknownService(t *testing.T) {
	if _, err := For("gatewy"); err == nil || !strings.Contains(err.Error(), "gateway") {
		t.Error(err)
	}
}
