// Package query answers questions of the form "this aggregate of the values of
// the events that match, by this field".
package query

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"probelab.dev/go-samples/eventstore/internal/event"
)

// Query is a parsed question. Empty Tenant or Kind match all. From is
// inclusive, To exclusive, both in milliseconds since 1970.
type Query struct {
	Tenant, Kind string
	From, To     int64
	Agg          string // count, sum or p95
	By           string // "", tenant, kind or attr.NAME
}

var (
	params = []string{"agg", "by", "from", "kind", "tenant", "to"}
	aggs   = []string{"count", "sum", "p95"}
)

const noEnd = 1<<63 - 1

// Parse reads a query string. An error is a sentence for the client.
func Parse(v url.Values) (Query, error) {
	q := Query{To: noEnd, Agg: "count"}
	for name, values := range v {
		if !slices.Contains(params, name) {
			return q, fmt.Errorf("unknown parameter %q; use %s", name, strings.Join(params, ", "))
		}
		if len(values) != 1 {
			return q, fmt.Errorf("parameter %q is given %d times; give it once", name, len(values))
		}
	}
	q.Tenant, q.Kind, q.By = v.Get("tenant"), v.Get("kind"), v.Get("by")
	if a := v.Get("agg"); a != "" {
		q.Agg = a
	}
	if !slices.Contains(aggs, q.Agg) {
		return q, fmt.Errorf("agg is %q; it must be one of %s", q.Agg, strings.Join(aggs, ", "))
	}
	if attr, ok := strings.CutPrefix(q.By, "attr."); q.By != "" && q.By != "tenant" && q.By != "kind" && (!ok || attr == "") {
		return q, fmt.Errorf("by is %q; it must be tenant, kind or attr.NAME", q.By)
	}
	for _, t := range []struct {
		name string
		into *int64
	}{{"from", &q.From}, {"to", &q.To}} {
		s := v.Get(t.name)
		if s == "" {
			continue
		}
		var ok bool
		if *t.into, ok = parseTime(s); !ok {
			return q, fmt.Errorf("%s is %q; it must be milliseconds since 1970 or an RFC 3339 time", t.name, s)
		}
	}
	if q.From > q.To {
		return q, fmt.Errorf("from (%d) is later than to (%d); swap them", q.From, q.To)
	}
	return q, nil
}

func parseTime(s string) (int64, bool) {
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil {
		return ms, event.ValidTime(ms)
	}
	return event.ParseTime(s)
}
