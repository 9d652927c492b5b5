// Package load makes fixed work for the event store: request k of a stream is
// the same bytes on every run, whoever sends it and when.
package load

import (
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
	Train = Mix{"train", 0x7261696e, 10, 100, 400, 20, 25, 70, 12,
		[]string{"click", "view", "purchase", "login", "error"}}
	// Test has more queries, larger batches, other tenants and other kinds.
	Test = Mix{"test", 0x74657374, 15, 150, 600, 40, 45, 50, 20,
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

// second is how much later each request of a stream is than the one before,
// in the time of its events.
const second = 1000

// Stream is a sequence of requests of one mix.
type Stream struct {
	Mix    Mix
	Seed   uint64
	Length int // requests before the stream repeats
}

// Request returns request k. After Length requests the stream repeats with
// later times, so that a query finds as much in each lap as in the first.
func (s Stream) Request(k int) Request {
	m, i := s.Mix, uint64(k%s.Length)
	// PCG streams of neighbouring states are related at first; mixing i keeps
	// neighbouring requests apart.
	r := rand.New(rand.NewPCG(s.Seed^m.salt<<32, i*0x9e3779b97f4a7c15+m.salt))
	if r.IntN(100) < m.queries {
		return Request{Method: "GET", Path: m.query(r, k)}
	}
	n := m.minBatch + r.IntN(m.maxBatch-m.minBatch+1)
	array := r.IntN(100) < m.arrays
	b := make([]byte, 0, n*180)
	at := int64(epoch) + int64(k)*second
	for j := range n {
		switch {
		case array && j == 0:
			b = append(b, '[')
		case array:
			b = append(b, ',', '\n')
		}
		at += int64(r.IntN(20))
		b = m.event(b, r, k, j, at)
		if !array {
			b = append(b, '\n')
		}
	}
	if array {
		b = append(b, ']', '\n')
	}
	return Request{"POST", "/ingest", b, n}
}

// event appends one event. It builds bytes by hand, because the driver shares
// the machine with the program that it measures.
func (m Mix) event(b []byte, r *rand.Rand, k, j int, at int64) []byte {
	b = append(b, `{"id":"`...)
	b = append(b, m.Name...)
	b = append(b, '-')
	b = strconv.AppendInt(b, int64(k)*10_000+int64(j), 16)
	b = append(b, `","tenant":"`...)
	b = append(b, m.tenant(r)...)
	b = append(b, `","kind":"`...)
	b = append(b, m.kind(r)...)
	b = append(b, `","at":`...)
	if r.IntN(100) < m.rfc3339 {
		b = time.UnixMilli(at).UTC().AppendFormat(b, `"2006-01-02T15:04:05.000Z07:00"`)
	} else {
		b = strconv.AppendInt(b, at, 10)
	}
	b = append(b, `,"value":`...)
	// Exponential, like latencies and prices: many small, few large.
	b = strconv.AppendInt(b, int64(r.ExpFloat64()*900)-20, 10)
	if r.IntN(100) < m.attrs {
		b = append(b, `,"attrs":{"region":"`...)
		b = append(b, regions[r.IntN(len(regions))]...)
		b = append(b, `","status":"`...)
		b = strconv.AppendInt(b, int64(200+100*(r.IntN(12)/4)), 10)
		b = append(b, `","agent":"client/`...)
		b = strconv.AppendInt(b, int64(1+r.IntN(40)), 10)
		b = append(b, ` \"`...)
		b = append(b, plans[r.IntN(len(plans))]...)
		b = append(b, `\""}`...)
	}
	return append(b, '}')
}

var (
	regions = []string{"eu-west", "eu-north", "us-east", "us-west", "ap-south"}
	plans   = []string{"free", "team", "größer"}
)

// tenant favours low numbers, as a few customers send most events.
func (m Mix) tenant(r *rand.Rand) string {
	return m.Name + "-" + strconv.Itoa(10+min(r.IntN(m.tenants), r.IntN(m.tenants)))
}

func (m Mix) kind(r *rand.Rand) string {
	return m.kinds[min(r.IntN(len(m.kinds)), r.IntN(len(m.kinds)))]
}

// query asks about the half to two minutes before request k.
func (m Mix) query(r *rand.Rand, k int) string {
	to := int64(epoch) + int64(k)*second
	from := max(epoch, to-int64(1+r.IntN(4))*30*second)
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
