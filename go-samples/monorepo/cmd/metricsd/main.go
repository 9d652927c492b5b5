// Command metricsd counts what services report and answers how long requests
// take, by service, host, path or status.
//
//	metricsd serve --addr 127.0.0.1:8080
package main

import (
	"cmp"
	"flag"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/monorepo/internal/hashing"
	"probelab.dev/go-samples/monorepo/internal/quantile"
	"probelab.dev/go-samples/monorepo/internal/record"
)

const (
	maxBody   = 4 << 20
	maxSeries = 8192 // some 8 KB each
)

// series is what is counted together.
type series struct {
	labels [4]string // in the order of names
	micros quantile.Sketch
	bytes  int64
}

var names = []string{"service", "host", "path", "status"}

type metrics struct {
	mu     sync.Mutex
	hasher hashing.Hasher
	series map[uint64]*series
	order  []*series // in which they came
}

func main() {
	service.Main("metricsd", service.Command{Name: "serve", Summary: "answers POST /write and GET /quantiles",
		New: func(*flag.FlagSet) service.Build { return register }})
}

func register(r *service.Routes) (func() error, error) {
	m := &metrics{hasher: hashing.XX{}, series: map[uint64]*series{}}
	r.Handle("POST /write", m.write)
	r.Handle("GET /quantiles", m.quantiles)
	return nil, nil
}

// write takes records in the format proto.
func (m *metrics) write(w http.ResponseWriter, r *http.Request) error {
	body, err := service.Body(w, r, maxBody)
	if err != nil {
		return err
	}
	dec, err := record.NewDecoder("proto", body)
	if err != nil {
		return err
	}
	n := 0
	var key []byte
	m.mu.Lock()
	defer m.mu.Unlock()
	err = record.Each(dec, func(r *record.Record) error {
		n++
		key = m.add(key, r)
		return nil
	})
	if err != nil {
		return service.Errorf(http.StatusBadRequest, "%v; the %d records before it are counted", err, n)
	}
	return service.JSON(w, map[string]int{"accepted": n})
}

// add counts a record; key is room for its series' key. When there are too many
// series, new ones are counted together.
func (m *metrics) add(key []byte, r *record.Record) []byte {
	key = append(append(key[:0], r.Service...), 0)
	key = append(append(key, r.Host...), 0)
	key = append(append(key, r.Path...), 0)
	key = append(key, byte('0'+r.Status/100))
	s := m.series[m.hasher.Hash(key)]
	if s == nil && len(m.series) >= maxSeries {
		key = append(key[:0], "other"...)
		s = m.series[m.hasher.Hash(key)]
	}
	if s == nil {
		s = &series{labels: [4]string{r.Service, r.Host, r.Path, strconv.FormatInt(r.Status/100, 10) + "xx"}}
		if len(m.series) >= maxSeries {
			s.labels = [4]string{"other", "other", "other", "other"}
		}
		m.series[m.hasher.Hash(key)] = s
		m.order = append(m.order, s)
	}
	s.micros.Add(uint64(r.Micros))
	s.bytes += r.Bytes
	return key
}

// group is a line of the answer; times in microseconds.
type group struct {
	Key   string  `json:"key"`
	Count uint64  `json:"count"`
	Mean  float64 `json:"mean"`
	P50   uint64  `json:"p50"`
	P90   uint64  `json:"p90"`
	P99   uint64  `json:"p99"`
	Bytes int64   `json:"bytes"`
}

// quantiles answers by=service|host|path|status, of service=NAME if it is
// given: the slowest first, at most n.
func (m *metrics) quantiles(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	by := slices.Index(names, cmp.Or(q.Get("by"), "service"))
	if by < 0 {
		return service.Errorf(http.StatusBadRequest, "by: %q is not one of %s", q.Get("by"), strings.Join(names, ", "))
	}
	most, err := strconv.Atoi(cmp.Or(q.Get("n"), "20"))
	if err != nil || most < 1 || most > 1000 {
		return service.Errorf(http.StatusBadRequest, "n: %q is not a number from 1 to 1000", q.Get("n"))
	}
	return service.JSON(w, m.group(by, q.Get("service"), most))
}

func (m *metrics) group(by int, of string, most int) []group {
	sums := map[string]*series{}
	m.mu.Lock()
	for _, s := range m.order {
		if of != "" && s.labels[0] != of {
			continue
		}
		sum := sums[s.labels[by]]
		if sum == nil {
			sum = &series{}
			sums[s.labels[by]] = sum
		}
		sum.micros.Merge(&s.micros)
		sum.bytes += s.bytes
	}
	m.mu.Unlock()
	groups := []group{}
	for key, s := range sums {
		q := s.micros.Quantile
		groups = append(groups, group{key, s.micros.Count(), s.micros.Mean(), q(0.5), q(0.9), q(0.99), s.bytes})
	}
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Or(cmp.Compare(b.P99, a.P99), cmp.Compare(a.Key, b.Key))
	})
	return groups[:min(most, len(groups))]
}
