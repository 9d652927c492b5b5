// Package compact makes few large blocks of many small ones. Small blocks come
// from stops, which seal whatever is open.
package compact

import (
	"context"
	"fmt"
	"slices"
	"time"

	"probelab.dev/go-samples/eventstore/internal/block"
	"probelab.dev/go-samples/eventstore/internal/event"
	"probelab.dev/go-samples/eventstore/internal/store"
)

// Stats is what was done; sizes in bytes. The file does not shrink: its free
// pages are used again.
type Stats struct {
	Merged      int   `json:"merged"`  // blocks that are gone
	Written     int   `json:"written"` // blocks in their place
	BytesBefore int64 `json:"bytes_before"`
	BytesAfter  int64 `json:"bytes_after"`
}

// Run merges neighbouring blocks of a shard that have less than half of target
// events, into blocks of at most target. Events may be added meanwhile, and
// queries answered; only one Run at a time may change a store.
func Run(ctx context.Context, st *store.Store, target int) (Stats, error) {
	var stats Stats
	groups, err := plan(st, target)
	if err != nil {
		return stats, err
	}
	m, err := newMerger(st)
	if err != nil {
		return stats, err
	}
	defer m.reader.Close()
	for _, keys := range groups {
		if ctx.Err() != nil {
			break // what is done stays
		}
		if err := m.merge(keys, &stats); err != nil {
			return stats, err
		}
	}
	return stats, nil
}

// Every runs until ctx ends, and tells what each run did.
func Every(ctx context.Context, st *store.Store, target int, wait time.Duration, tell func(Stats, error)) {
	ticker := time.NewTicker(wait)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			tell(Run(ctx, st, target))
		}
	}
}

// plan finds what to merge, by the blocks' headers alone.
func plan(st *store.Store, target int) ([][]store.Key, error) {
	view, err := st.View()
	if err != nil {
		return nil, err
	}
	defer view.Close()
	var groups [][]store.Key
	var group []store.Key
	rows := 0
	flush := func() {
		if len(group) > 1 {
			groups = append(groups, group)
		}
		group, rows = nil, 0
	}
	err = view.Keyed(func(k store.Key, data []byte) error {
		h, err := block.ParseHeader(data)
		if err != nil {
			return fmt.Errorf("block %d of shard %d: %w", k.Seq, k.Shard, err)
		}
		if len(group) > 0 && (k.Shard != group[0].Shard || rows+h.Rows > target) {
			flush()
		}
		if h.Rows >= (target+1)/2 {
			flush()
			return nil
		}
		group, rows = append(group, k), rows+h.Rows
		return nil
	})
	flush()
	return groups, err
}

type merger struct {
	store  *store.Store
	reader *block.Reader
	writer *block.Writer
}

func newMerger(st *store.Store) (*merger, error) {
	r, err := block.NewReader()
	if err != nil {
		return nil, err
	}
	w, err := block.NewWriter()
	if err != nil {
		r.Close()
		return nil, err
	}
	return &merger{st, r, w}, nil
}

func (m *merger) merge(keys []store.Key, stats *Stats) error {
	events, before, err := m.read(keys)
	if err != nil {
		return err
	}
	data, err := m.writer.Encode(events, 0)
	if err != nil {
		return err
	}
	if err := m.store.Replace(keys, data); err != nil {
		return fmt.Errorf("the merged block can't be stored: %w", err)
	}
	stats.Merged += len(keys)
	stats.Written++
	stats.BytesBefore += before
	stats.BytesAfter += int64(len(data))
	return nil
}

// read returns the events of some blocks, in their order, and the blocks' size.
func (m *merger) read(keys []store.Key) (all []event.Event, size int64, err error) {
	view, err := m.store.View()
	if err != nil {
		return nil, 0, err
	}
	defer view.Close()
	for _, k := range keys {
		data := view.Block(k)
		h, err := block.ParseHeader(data)
		if err != nil {
			return nil, 0, fmt.Errorf("block %d of shard %d: %w", k.Seq, k.Shard, err)
		}
		events, err := m.reader.Decode(h, block.All)
		if err != nil {
			return nil, 0, fmt.Errorf("block %d of shard %d: %w", k.Seq, k.Shard, err)
		}
		size += int64(len(data))
		start := len(all)
		all = append(all, events...)
		for i := range all[start:] {
			// The reader uses their memory again.
			all[start+i].Attrs = slices.Clone(all[start+i].Attrs)
		}
	}
	return all, size, nil
}
