// Package load makes fixed work for the event store: request i of a seed and
// a mix is the same bytes on every run, whoever sends it and when.
package load

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// Mix is a kind of load. Profiles are recorded under Train and gains measured
// under Test, whose requests and proportions differ.
type Mix struct {
	Name string
	// salt separates the mixes' random streams: equal seeds share no request.
	salt                   uint64
	queries                int // per cent of requests
	minBatch, maxBatch     int // events a request
	arrays, rfc3339, attrs int // per cent of batches, of times, of events with attributes
	tenants                int
	kinds                  []string
}

var (
	// Train is mostly ingest of small batches.
	Train = Mix{"train", 0x7261696e, 4, 40, 160, 20, 25, 70, 12,
		[]string{"click", "view", "purchase", "login", "error"}}
	// Test has more queries, larger batches, other tenants and other kinds.
	Test = Mix{"test", 0x74657374, 7, 60, 300, 40, 45, 50, 20,
		[]string{"view", "click", "search", "refund", "login", "error", "timeout"}}
)

// MixNamed finds a mix by its name.
func MixNamed(name string) (Mix, error) {
	for _, m := range []Mix{Train, Test} {
		if m.Name == name {
			return m, nil
		}
	}
	return Mix{}, fmt.Errorf("--mix is %q; it must be train or test", name)
}

// Request is one HTTP request.
type Request struct {
	Method, Path string
	Body         []byte
	Events       int
}

// epoch is the time of the first event, 2026-01-01T00:00:00Z.
const epoch = 1767225600000

// Make returns request i of the stream of seed.
func (m Mix) Make(seed uint64, i int) Request {
	// PCG streams of neighbouring states are related at first; mixing i keeps
	// neighbouring requests apart.
	r := rand.New(rand.NewPCG(seed^m.salt<<32, uint64(i)*0x9e3779b97f4a7c15+m.salt))
	if r.IntN(100) < m.queries {
		return Request{Method: "GET", Path: m.query(r, i)}
	}
	n := m.minBatch + r.IntN(m.maxBatch-m.minBatch+1)
	array := r.IntN(100) < m.arrays
	var b bytes.Buffer
	at := int64(epoch) + int64(i)*1000
	for k := range n {
		switch {
		case array && k == 0:
			b.WriteByte('[')
		case array:
			b.WriteString(",\n")
		}
		at += int64(r.IntN(20))
		m.event(&b, r, i, k, at)
		if !array {
			b.WriteByte('\n')
		}
	}
	if array {
		b.WriteString("]\n")
	}
	return Request{"POST", "/ingest", b.Bytes(), n}
}

func (m Mix) event(b *bytes.Buffer, r *rand.Rand, i, k int, at int64) {
	fmt.Fprintf(b, `{"id":"%s-%08x-%04x","tenant":"%s","kind":"%s","at":`, m.Name, i, k, m.tenant(r), m.kind(r))
	if r.IntN(100) < m.rfc3339 {
		b.WriteByte('"')
		b.WriteString(time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z07:00"))
		b.WriteByte('"')
	} else {
		b.WriteString(strconv.FormatInt(at, 10))
	}
	// Exponential, like latencies and prices: many small, few large.
	fmt.Fprintf(b, `,"value":%d`, int64(r.ExpFloat64()*900)-20)
	if r.IntN(100) < m.attrs {
		fmt.Fprintf(b, `,"attrs":{"region":"%s","status":"%d","agent":"client/%d.%d \"%s\""}`,
			regions[r.IntN(len(regions))], 200+100*(r.IntN(12)/4), 1+r.IntN(4), r.IntN(10), plans[r.IntN(len(plans))])
	}
	b.WriteByte('}')
}

var (
	regions = []string{"eu-west", "eu-north", "us-east", "us-west", "ap-south"}
	plans   = []string{"free", "team", "größer"}
)

// tenant favours low numbers, as a few customers send most events.
func (m Mix) tenant(r *rand.Rand) string {
	return fmt.Sprintf("%s-%02d", m.Name, min(r.IntN(m.tenants), r.IntN(m.tenants)))
}

func (m Mix) kind(r *rand.Rand) string {
	return m.kinds[min(r.IntN(len(m.kinds)), r.IntN(len(m.kinds)))]
}

// query asks about events of the last minutes before request i.
func (m Mix) query(r *rand.Rand, i int) string {
	to := int64(epoch) + int64(i)*1000
	from := max(epoch, to-int64(60_000*(1+r.IntN(5))))
	agg := []string{"count", "sum", "p95"}[r.IntN(3)]
	by := []string{"kind", "tenant", "attr.region", "attr.status"}[r.IntN(4)]
	path := fmt.Sprintf("/query?agg=%s&by=%s&from=%d&to=%d", agg, by, from, to)
	if r.IntN(3) == 0 {
		path += "&tenant=" + m.tenant(r)
	}
	if r.IntN(3) == 0 {
		path += "&kind=" + m.kind(r)
	}
	return path
}
