package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"testing"

	"probelab.dev/go-samples/eventstore/internal/event"
	"probelab.dev/go-samples/eventstore/internal/query"
)

func stream(m Mix, seed uint64, n int) []byte {
	var b bytes.Buffer
	for k := range n {
		r := Stream{m, seed, n}.Request(k)
		b.WriteString(r.Method + " " + r.Path + "\n")
		b.Write(r.Body)
	}
	return b.Bytes()
}

func TestSameSeedSameBytes(t *testing.T) {
	for _, m := range []Mix{Train, Test} {
		if !bytes.Equal(stream(m, 7, 200), stream(m, 7, 200)) {
			t.Errorf("%s: two streams of one seed differ", m.Name)
		}
	}
}

func TestOtherSeedOrMixOtherBytes(t *testing.T) {
	base := stream(Train, 7, 20)
	if bytes.Equal(base, stream(Train, 8, 20)) {
		t.Error("seeds 7 and 8 give the same stream")
	}
	if bytes.Equal(base, stream(Test, 7, 20)) {
		t.Error("train and test give the same stream")
	}
}

// A later lap differs from the first in its times and ids alone.
func TestLapsRepeatWithLaterTimes(t *testing.T) {
	s := Stream{Train, 7, 30}
	type event struct {
		Tenant, Kind string
		Value        int64
	}
	for k := range s.Length {
		first, later := s.Request(k), s.Request(k+s.Length)
		if first.Events != later.Events {
			t.Fatalf("request %d: %d events, %d a lap later", k, first.Events, later.Events)
		}
		if first.Events == 0 || first.Body[0] == '[' {
			continue
		}
		a, b := json.NewDecoder(bytes.NewReader(first.Body)), json.NewDecoder(bytes.NewReader(later.Body))
		for range first.Events {
			var x, y event
			if err := errors.Join(a.Decode(&x), b.Decode(&y)); err != nil {
				t.Fatal(err)
			}
			if x != y {
				t.Errorf("request %d: %+v, a lap later %+v", k, x, y)
			}
		}
	}
}

func TestRequestsAreWellFormed(t *testing.T) {
	for _, m := range []Mix{Train, Test} {
		queries := 0
		for i := range 400 {
			r := Stream{m, 3, 400}.Request(i)
			if r.Events == 0 {
				queries++
				u, err := url.Parse(r.Path)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := query.Parse(u.Query()); err != nil {
					t.Errorf("%s: %v", r.Path, err)
				}
				continue
			}
			if n := countEvents(t, r.Body); n != r.Events {
				t.Errorf("%s request %d: body has %d events, said %d", m.Name, i, n, r.Events)
			}
		}
		if queries == 0 {
			t.Errorf("%s: no query in 400 requests", m.Name)
		}
	}
}

func countEvents(t *testing.T, body []byte) int {
	t.Helper()
	if body[0] == '[' {
		var all []json.RawMessage
		if err := json.Unmarshal(body, &all); err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	lines := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
	dec := event.NewJSON()
	for _, line := range lines {
		var ev event.Event
		if _, err := dec.Decode(line, &ev); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return len(lines)
}
