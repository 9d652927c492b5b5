package query

import (
	"math"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"probelab.dev/go-samples/eventstore/internal/block"
	"probelab.dev/go-samples/eventstore/internal/event"
)

func TestParse(t *testing.T) {
	for src, want := range map[string]Query{
		"":                               {To: math.MaxInt64, Agg: "count"},
		"agg=p95&by=attr.region":         {To: math.MaxInt64, Agg: "p95", By: "attr.region"},
		"tenant=a&kind=b&agg=sum":        {Tenant: "a", Kind: "b", To: math.MaxInt64, Agg: "sum"},
		"from=5&to=1970-01-01T00:00:01Z": {From: 5, To: 1000, Agg: "count"},
	} {
		v, err := url.ParseQuery(src)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Parse(v); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", src, got, err)
		}
	}
}

func TestParseMistakes(t *testing.T) {
	for src, want := range map[string]string{
		"agg=avg":       "it must be one of count, sum, p95",
		"by=value":      "it must be tenant, kind or attr.NAME",
		"by=attr.":      "it must be tenant, kind or attr.NAME",
		"from=soon":     "from is \"soon\"; it must be milliseconds",
		"from=9&to=3":   "swap them",
		"agg=sum&agg=p": "given 2 times",
		"tenat=x":       "unknown parameter \"tenat\"",
	} {
		v, err := url.ParseQuery(src)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", src, err, want)
		}
	}
}

func TestAggregates(t *testing.T) {
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[i] = int64(100 - i)
	}
	for name, tc := range map[string]struct {
		agg    string
		values []int64
		want   string
	}{
		"count":                 {"count", []int64{5, 5}, "2"},
		"sum":                   {"sum", []int64{5, -8, 0}, "-3"},
		"sum beyond 64 bits":    {"sum", []int64{math.MaxInt64, math.MaxInt64, 2}, "18446744073709551616"},
		"sum below 64 bits":     {"sum", []int64{math.MinInt64, -1}, "-9223372036854775809"},
		"p95 of one":            {"p95", []int64{7}, "7"},
		"p95 of 1 to 100":       {"p95", hundred, "95"},
		"p95 of 20: the second": {"p95", append(make([]int64, 18), 3, 9), "3"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAggregate(tc.agg)
			for _, v := range tc.values {
				a.add(v)
			}
			if got := a.result(); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// source is one sealed block and some open events.
type source struct {
	block []byte
	open  []event.Event
}

func (s source) Scan(_ int, blocks func([]byte) error, open func([]event.Event) error) error {
	if err := blocks(s.block); err != nil {
		return err
	}
	return open(s.open)
}

func newSource(t *testing.T) source {
	t.Helper()
	eu := []event.Attr{{Key: "region", Value: "eu"}}
	w, err := block.NewWriter()
	if err != nil {
		t.Fatal(err)
	}
	b, err := w.Encode([]event.Event{
		{ID: "1", Tenant: "a", Kind: "x", At: 10, Value: 1, Attrs: eu},
		{ID: "2", Tenant: "b", Kind: "x", At: 20, Value: 2},
		{ID: "3", Tenant: "a", Kind: "y", At: 30, Value: 4, Attrs: eu},
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return source{b, []event.Event{{ID: "4", Tenant: "a", Kind: "x", At: 40, Value: 8}}}
}

func TestRun(t *testing.T) {
	src := newSource(t)
	for name, tc := range map[string]struct {
		query string
		want  []Group
	}{
		"all":                   {"agg=sum", []Group{{"", 4, "15"}}},
		"by tenant":             {"agg=sum&by=tenant", []Group{{"a", 3, "13"}, {"b", 1, "2"}}},
		"by kind of a tenant":   {"agg=sum&by=kind&tenant=a", []Group{{"x", 2, "9"}, {"y", 1, "4"}}},
		"by attribute":          {"agg=sum&by=attr.region", []Group{{"", 2, "10"}, {"eu", 2, "5"}}},
		"from is in, to is not": {"agg=sum&from=20&to=40", []Group{{"", 2, "6"}}},
		"kind":                  {"kind=y", []Group{{"", 1, "1"}}},
		"nothing":               {"tenant=zebra", []Group{}},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := url.ParseQuery(tc.query)
			if err != nil {
				t.Fatal(err)
			}
			q, err := Parse(v)
			if err != nil {
				t.Fatal(err)
			}
			ans, err := Run(q, src)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(ans.Groups, tc.want) {
				t.Errorf("got %+v, want %+v", ans.Groups, tc.want)
			}
		})
	}
}

func TestRunSkipsBlocksByTime(t *testing.T) {
	ans, err := Run(Query{From: 31, To: noEnd, Agg: "count"}, newSource(t))
	if err != nil {
		t.Fatal(err)
	}
	if ans.BlocksSkipped != 1 || ans.BlocksRead != 0 || ans.Matched != 1 {
		t.Errorf("got %+v", ans)
	}
}
