// Package traffic makes the load of each service.
package traffic

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"probelab.dev/go-samples/kit/load"
	"probelab.dev/go-samples/monorepo/internal/record"
)

// makers are the requests of each service.
var makers = map[string]func(*source) load.Request{
	"cached":    (*source).cached,
	"codec":     (*source).codec,
	"compactor": (*source).compactor,
	"gateway":   (*source).gateway,
	"importer":  (*source).importer,
	"indexer":   (*source).indexer,
	"metricsd":  (*source).metricsd,
	"router":    (*source).router,
	"signer":    (*source).signer,
	"templated": (*source).templated,
}

// Services are the names of all services that there is load for.
func Services() []string { return slices.Sorted(maps.Keys(makers)) }

// For returns what makes the requests of a service.
func For(name string) (load.Maker, error) {
	maker, ok := makers[name]
	if !ok {
		return nil, fmt.Errorf("--service is %q; it must be one of %s", name, strings.Join(Services(), ", "))
	}
	return func(m load.Mix, r *rand.Rand, k int) load.Request {
		return maker(&source{r, m == load.Test, k, vocabularies[m]})
	}, nil
}

// source is what one request is made from.
type source struct {
	r     *rand.Rand
	test  bool // the mix
	k     int  // the request's number
	words []string
}

var vocabularies = map[load.Mix][]string{
	load.Train: load.Vocabulary(0x7472, 3000),
	load.Test:  load.Vocabulary(0x7465, 5000),
}

// either picks by mix.
func either[T any](s *source, train, test T) T {
	if s.test {
		return test
	}
	return train
}

// between returns a number from least to most.
func (s *source) between(least, most int) int { return least + s.r.IntN(most-least+1) }

// chance is true in so many of a hundred cases.
func (s *source) chance(percent int) bool { return s.r.IntN(100) < percent }

// word favours the first words, as languages do.
func (s *source) word() string {
	n := len(s.words)
	return s.words[min(s.r.IntN(n), s.r.IntN(n), s.r.IntN(n))]
}

func (s *source) phrase(least, most int) string {
	var b strings.Builder
	for i := range s.between(least, most) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(s.word())
	}
	return b.String()
}

// epoch is the time of the first record, 2026-01-01T00:00:00Z.
const epoch = 1767225600000

// record makes an entry of an access log. A few services and paths have most.
func (s *source) record(at int64) record.Record {
	services := either(s, 8, 14)
	service := min(s.r.IntN(services), s.r.IntN(services))
	path := "/" + s.words[service] + "/" + s.words[min(s.r.IntN(40), s.r.IntN(40))]
	if s.chance(10) {
		path += "?q=\"" + s.word() + "\""
	}
	status := int64(200)
	if s.chance(either(s, 8, 15)) {
		status = []int64{301, 404, 404, 500, 503}[s.r.IntN(5)]
	}
	return record.Record{
		Time: at, Service: s.words[service], Host: s.words[service] + []string{"-0", "-1", "-2", "-3"}[s.r.IntN(4)],
		Method: []string{"GET", "GET", "GET", "POST", "PUT"}[s.r.IntN(5)], Path: path, Status: status,
		Micros: int64(s.r.ExpFloat64()*float64(2000*(service+1))) + 80, Bytes: int64(s.r.ExpFloat64() * 4000),
	}
}

// log encodes so many records, in the order of time.
func (s *source) log(format string, records int) []byte {
	enc, err := record.NewEncoder(format)
	if err != nil {
		panic(err) // formats are named here, not by users
	}
	text := enc.Begin(nil)
	at := int64(epoch) + int64(s.k)*1000
	for range records {
		r := s.record(at)
		text = enc.Append(text, &r)
		at += int64(s.r.IntN(30))
	}
	return text
}
