package servicetest

import (
	"bytes"
	"testing"

	"probelab.dev/go-samples/kit/load"
)

// Streams tests that a maker's requests depend on mix and seed alone.
func Streams(t *testing.T, maker load.Maker) {
	t.Helper()
	const requests = 25
	written := func(m load.Mix, seed uint64) []byte {
		var b bytes.Buffer
		for k := range requests {
			r := load.Stream{Mix: m, Seed: seed, Length: requests, Make: maker}.Request(k)
			b.WriteString(r.Path + "\n" + r.Bearer + "\n")
			b.Write(r.Body)
		}
		return b.Bytes()
	}
	for _, m := range []load.Mix{load.Train, load.Test} {
		if !bytes.Equal(written(m, 7), written(m, 7)) {
			t.Errorf("%s: two streams of one seed differ", m)
		}
		if bytes.Equal(written(m, 7), written(m, 8)) {
			t.Errorf("%s: seeds 7 and 8 give the same stream", m)
		}
	}
	if bytes.Equal(written(load.Train, 7), written(load.Test, 7)) {
		t.Error("train and test give the same stream")
	}
}
