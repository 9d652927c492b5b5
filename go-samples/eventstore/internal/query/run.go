package query

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"probelab.dev/go-samples/eventstore/internal/block"
	"probelab.dev/go-samples/eventstore/internal/event"
	"probelab.dev/go-samples/eventstore/internal/ingest"
)

// Source is where events come from; ingest.Ingester is one.
type Source interface {
	Scan(shard int, blocks func([]byte) error, open func([]event.Event) error) error
}

// Group is one line of an answer. Key is empty when the query has no by, and
// for events without the attribute that it groups by.
type Group struct {
	Key   string      `json:"key"`
	Count int64       `json:"count"`
	Value json.Number `json:"value"`
}

// Answer is what a query found. Groups are sorted by key.
type Answer struct {
	Agg           string  `json:"agg"`
	By            string  `json:"by,omitempty"`
	Groups        []Group `json:"groups"`
	Matched       int64   `json:"matched"`
	BlocksRead    int     `json:"blocks_read"`
	BlocksSkipped int     `json:"blocks_skipped"` // by the times in their headers
}

// filter decides whether an event counts.
type filter interface {
	match(e *event.Event) bool
}

type inTime struct{ from, to int64 }

func (f *inTime) match(e *event.Event) bool { return e.At >= f.from && e.At < f.to }

type ofTenant struct{ name string }

func (f *ofTenant) match(e *event.Event) bool { return e.Tenant == f.name }

type ofKind struct{ name string }

func (f *ofKind) match(e *event.Event) bool { return e.Kind == f.name }

type group struct {
	agg aggregate
	n   int64
}

type runner struct {
	q       Query
	filters []filter
	groups  map[string]*group
	key     func(*event.Event) string
	matched int64
}

var readers = sync.Pool{New: func() any {
	r, err := block.NewReader()
	if err != nil {
		return err
	}
	return r
}}

// Run answers q from src.
func Run(q Query, src Source) (Answer, error) {
	ans := Answer{Agg: q.Agg, By: q.By, Groups: []Group{}}
	pooled := readers.Get()
	if err, ok := pooled.(error); ok {
		return ans, err
	}
	reader := pooled.(*block.Reader)
	defer readers.Put(reader)

	r := newRunner(q)
	shard := -1
	if q.Tenant != "" {
		shard = ingest.ShardOf(q.Tenant)
	}
	var want block.Columns
	if strings.HasPrefix(q.By, "attr.") {
		want = block.Attrs
	}
	err := src.Scan(shard, func(data []byte) error {
		h, err := block.ParseHeader(data)
		if err != nil {
			return err
		}
		if h.MaxAt < q.From || h.MinAt >= q.To {
			ans.BlocksSkipped++
			return nil
		}
		ans.BlocksRead++
		events, err := reader.Decode(h, want)
		if err != nil {
			return err
		}
		return r.rows(events)
	}, r.rows)
	if err != nil {
		return ans, err
	}
	ans.Matched = r.matched
	ans.Groups = r.answer()
	return ans, nil
}

func newRunner(q Query) *runner {
	r := &runner{q: q, groups: map[string]*group{}}
	r.filters = append(r.filters, &inTime{q.From, q.To})
	if q.Tenant != "" {
		r.filters = append(r.filters, &ofTenant{q.Tenant})
	}
	if q.Kind != "" {
		r.filters = append(r.filters, &ofKind{q.Kind})
	}
	switch attr, isAttr := strings.CutPrefix(q.By, "attr."); {
	case isAttr:
		r.key = func(e *event.Event) string { return attrOf(e, attr) }
	case q.By == "tenant":
		r.key = func(e *event.Event) string { return e.Tenant }
	case q.By == "kind":
		r.key = func(e *event.Event) string { return e.Kind }
	default:
		r.key = func(*event.Event) string { return "" }
	}
	return r
}

func attrOf(e *event.Event, name string) string {
	for i := range e.Attrs {
		if e.Attrs[i].Key == name {
			return e.Attrs[i].Value
		}
	}
	return ""
}

func (r *runner) rows(events []event.Event) error {
	for i := range events {
		if !r.matches(&events[i]) {
			continue
		}
		g, err := r.group(r.key(&events[i]))
		if err != nil {
			return err
		}
		g.n++
		r.matched++
		g.agg.add(events[i].Value)
	}
	if r.q.Agg == "p95" && r.matched > maxP95 {
		return ErrTooMany
	}
	return nil
}

func (r *runner) matches(e *event.Event) bool {
	for _, f := range r.filters {
		if !f.match(e) {
			return false
		}
	}
	return true
}

func (r *runner) group(key string) (*group, error) {
	if g, ok := r.groups[key]; ok {
		return g, nil
	}
	if len(r.groups) == maxGroups {
		return nil, ErrTooMany
	}
	g := &group{agg: newAggregate(r.q.Agg)}
	r.groups[key] = g
	return g, nil
}

func (r *runner) answer() []Group {
	groups := make([]Group, 0, len(r.groups))
	for key, g := range r.groups {
		groups = append(groups, Group{key, g.n, json.Number(g.agg.result())})
	}
	slices.SortFunc(groups, func(a, b Group) int { return strings.Compare(a.Key, b.Key) })
	return groups
}
