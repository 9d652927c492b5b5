package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"

	"probelab.dev/go-samples/eventstore/internal/event"
	"probelab.dev/go-samples/eventstore/internal/store"
)

// maxGroup is how many requests may wait, and so share a commit.
const maxGroup = 256

// run applies jobs until the queue is closed and drained.
func (g *Ingester) run() {
	defer close(g.done)
	var group []*job
	for j := range g.queue {
		group = append(group[:0], j)
		for len(group) < maxGroup && len(g.queue) > 0 {
			group = append(group, <-g.queue)
		}
		err := g.apply(group)
		for _, j := range group {
			j.result <- err
		}
	}
}

// apply stores the records of a group: all of them, or none and an error.
func (g *Ingester) apply(group []*job) error {
	var next [Shards][]event.Event
	var pending [Shards][]byte
	next = g.open
	for _, j := range group {
		for i := range j.records {
			r := &j.records[i]
			r.shard = RouteTenant(r.Event.Tenant)
			next[r.shard] = append(next[r.shard], r.Event)
			if g.durability == Always {
				pending[r.shard] = appendPending(pending[r.shard], r.Raw)
			}
		}
	}
	var c store.Change
	for shard := range next {
		if len(next[shard]) >= g.blockEvents {
			if err := g.seal(&c, shard, next[shard]); err != nil {
				return err
			}
			next[shard] = nil
		} else if len(pending[shard]) > 0 {
			c.Pending = append(c.Pending, store.Entry{Shard: shard, Data: pending[shard]})
		}
	}
	if err := g.commit(&c, next); err != nil {
		return err
	}
	for _, j := range group {
		g.events.Add(int64(len(j.records)))
		for i := range j.records {
			r := &j.records[i]
			g.raw.Add(int64(len(r.Raw)))
			RecordSize(r.shard, len(r.Raw))
		}
	}
	return nil
}

// commit puts c on disk and makes next the open events, as one step to Scan.
func (g *Ingester) commit(c *store.Change, next [Shards][]event.Event) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !c.Empty() {
		if err := g.store.Commit(c); err != nil {
			return fmt.Errorf("the store refused the events: %w", err)
		}
	}
	g.open = next
	g.blocks.Add(int64(len(c.Blocks)))
	for _, b := range c.Blocks {
		g.stored.Add(int64(len(b.Data)))
	}
	return nil
}

// seal adds the blocks of a shard's events to c. Events that came together
// may be more than a block's worth; the last block takes the remainder, so a
// block has between blockEvents and twice that.
func (g *Ingester) seal(c *store.Change, shard int, events []event.Event) error {
	c.Sealed = append(c.Sealed, shard)
	for len(events) > 0 {
		n := len(events)
		if n >= 2*g.blockEvents {
			n = g.blockEvents
		}
		values := make([]int64, n)
		for i := range values {
			values[i] = events[i].Value
		}
		data, err := g.writer.Encode(events[:n], SealBlock(values))
		if err != nil {
			return fmt.Errorf("can't seal a block of %d events: %w", n, err)
		}
		c.Blocks = append(c.Blocks, store.Entry{Shard: shard, Data: data})
		events = events[n:]
	}
	return nil
}

// sealAll makes blocks of what is open, in the order of shards.
func (g *Ingester) sealAll() error {
	var c store.Change
	for shard, events := range g.open {
		if len(events) == 0 {
			continue
		}
		if err := g.seal(&c, shard, events); err != nil {
			return err
		}
	}
	return g.commit(&c, [Shards][]event.Event{})
}

// Pending data is a sequence of events as they came in, each after its length
// as a uvarint.
func appendPending(dst, raw []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(raw)))
	return append(dst, raw...)
}

func splitPending(data []byte, fn func(raw []byte) error) error {
	for len(data) > 0 {
		n, w := binary.Uvarint(data)
		if w <= 0 || n > uint64(len(data)-w) {
			return errors.New("the list of acknowledged events is cut short: restore the data directory from a copy")
		}
		if err := fn(data[w : w+int(n)]); err != nil {
			return err
		}
		data = data[w+int(n):]
	}
	return nil
}
