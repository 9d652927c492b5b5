package compact

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"probelab.dev/go-samples/eventstore/internal/block"
	"probelab.dev/go-samples/eventstore/internal/event"
	"probelab.dev/go-samples/eventstore/internal/ingest"
	"probelab.dev/go-samples/eventstore/internal/store"
)

func open(t *testing.T) *store.Store {
	t.Helper()
	st, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// fill stores blocks of so many rows each in a shard.
func fill(t *testing.T, st *store.Store, shard int, rows ...int) {
	t.Helper()
	w, err := block.NewWriter()
	if err != nil {
		t.Fatal(err)
	}
	for b, n := range rows {
		events := make([]event.Event, n)
		for i := range events {
			events[i] = event.Event{ID: fmt.Sprint(b, "-", i), Tenant: fmt.Sprint("t", shard), Kind: "k", At: int64(b*1000 + i), Value: int64(i)}
			if i%2 == 0 {
				events[i].Attrs = []event.Attr{{Key: "b", Value: fmt.Sprint(b, i)}}
			}
		}
		data, err := w.Encode(events, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Commit(&store.Change{Blocks: []store.Entry{{Shard: shard, Data: data}}}); err != nil {
			t.Fatal(err)
		}
	}
}

// contents returns how many rows each block has, and all events.
func contents(t *testing.T, st *store.Store) (rows string, all []event.Event) {
	t.Helper()
	v, err := st.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	r, err := block.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := v.Keyed(func(k store.Key, data []byte) error {
		h, err := block.ParseHeader(data)
		if err != nil {
			return err
		}
		events, err := r.Decode(h, block.All)
		for _, e := range events {
			e.Attrs = slices.Clone(e.Attrs)
			all = append(all, e)
		}
		rows += fmt.Sprintf("%d:%d ", k.Shard, h.Rows)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(rows), all
}

func TestSmallNeighboursAreMerged(t *testing.T) {
	for name, tc := range map[string]struct {
		rows []int
		want string
	}{
		"two":                     {[]int{10, 20}, "3:30 5:1"},
		"more than one may hold":  {[]int{40, 40, 40, 30}, "3:80 3:70 5:1"},
		"a large one between":     {[]int{10, 50, 10, 10}, "3:10 3:50 3:20 5:1"},
		"large ones":              {[]int{50, 99, 100}, "3:50 3:99 3:100 5:1"},
		"one":                     {[]int{7}, "3:7 5:1"},
		"filled to the last":      {[]int{49, 49, 2, 1}, "3:100 3:1 5:1"},
		"the last of two shards ": {[]int{60, 1}, "3:60 3:1 5:1"},
	} {
		t.Run(name, func(t *testing.T) {
			st := open(t)
			fill(t, st, 3, tc.rows...)
			fill(t, st, 5, 1)
			_, before := contents(t, st)
			stats, err := Run(t.Context(), st, 100)
			if err != nil {
				t.Fatal(err)
			}
			got, after := contents(t, st)
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if !reflect.DeepEqual(before, after) {
				t.Error("the events are not what they were")
			}
			if left := len(tc.rows) + 1 - stats.Merged + stats.Written; left != len(strings.Fields(tc.want)) {
				t.Errorf("%+v", stats)
			}
			if stats.Merged > 0 && stats.BytesAfter >= stats.BytesBefore {
				t.Errorf("it grew: %+v", stats)
			}
		})
	}
}

func TestADamagedBlockIsNamed(t *testing.T) {
	st := open(t)
	fill(t, st, 1, 3)
	if err := st.Commit(&store.Change{Blocks: []store.Entry{{Shard: 1, Data: []byte("EVB1 damaged, this")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), st, 100); err == nil || !strings.Contains(err.Error(), "block 2 of shard 1: ") {
		t.Errorf("got %v", err)
	}
}

// Events come in and are counted while blocks are merged: none is lost, none twice.
func TestWhileTheStoreIsInUse(t *testing.T) {
	st := open(t)
	in, err := ingest.Open(st, 20, ingest.Always, event.NewJSON())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	merged := 0
	wg.Go(func() {
		Every(ctx, st, 200, time.Millisecond, func(s Stats, err error) {
			if err != nil {
				t.Error(err)
			}
			merged += s.Merged
		})
	})
	count := func() (n int) {
		err := in.Scan(-1, func(data []byte) error {
			h, err := block.ParseHeader(data)
			n += h.Rows
			return err
		}, func(open []event.Event) error { n += len(open); return nil })
		if err != nil {
			t.Error(err)
		}
		return n
	}
	dec := event.NewJSON()
	const requests, each = 120, 15
	for i := range requests {
		var body strings.Builder
		for j := range each {
			fmt.Fprintf(&body, `{"id":"%d-%d","tenant":"t%d","kind":"k","at":1,"value":1}`+"\n", i, j, j%3)
		}
		records, err := ingest.ParseBody(dec, []byte(body.String()))
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Ingest(records); err != nil {
			t.Fatal(err)
		}
		if got := count(); got != (i+1)*each {
			t.Fatalf("%d events are there of %d", got, (i+1)*each)
		}
	}
	cancel()
	wg.Wait()
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if got := count(); got != requests*each || merged == 0 {
		t.Errorf("%d events are there of %d; %d blocks were merged", got, requests*each, merged)
	}
}
