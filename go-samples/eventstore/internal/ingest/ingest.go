package ingest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"probelab.dev/go-samples/eventstore/internal/block"
	"probelab.dev/go-samples/eventstore/internal/event"
	"probelab.dev/go-samples/eventstore/internal/store"
)

// Block sizes that an Ingester accepts, in events. The upper bound keeps the
// largest possible block below block.MaxRaw.
const (
	DefaultBlockEvents = 4096
	MaxBlockEvents     = 8192
)

// ErrClosed is returned for events that come after Close has begun.
var ErrClosed = errors.New("the store is shutting down: send the events again later")

// Record is one decoded event and the text that it was decoded from.
type Record struct {
	Event event.Event
	Raw   []byte
	shard int
}

// Durability says when Ingest may return.
type Durability int

const (
	// Always commits events before Ingest returns.
	Always Durability = iota
	// AtSeal commits an event with the block that it ends up in, for a source
	// that can be read again.
	AtSeal
)

// Totals counts what happened since the process started; sizes in bytes.
type Totals struct {
	Events, Blocks, RawBytes, StoredBytes int64
}

// Ingester owns the open events of all shards. One goroutine changes them, so
// that requests that arrive together share a commit.
type Ingester struct {
	store       *store.Store
	writer      *block.Writer
	blockEvents int
	durability  Durability

	queue  chan *job
	done   chan struct{}
	events atomic.Int64
	blocks atomic.Int64
	raw    atomic.Int64
	stored atomic.Int64

	mu     sync.RWMutex // guards open and the moment of a commit
	open   [Shards][]event.Event
	closed bool
}

type job struct {
	records []Record
	result  chan error
}

// Open takes back the events that an earlier process had acknowledged but not
// sealed, and starts the ingester. decode reads one such event.
func Open(st *store.Store, blockEvents int, d Durability, decode event.Decoder) (*Ingester, error) {
	if blockEvents < 1 || blockEvents > MaxBlockEvents {
		return nil, fmt.Errorf("a block can hold 1 to %d events, not %d", MaxBlockEvents, blockEvents)
	}
	w, err := block.NewWriter()
	if err != nil {
		return nil, err
	}
	g := &Ingester{
		store: st, writer: w, blockEvents: blockEvents, durability: d,
		queue: make(chan *job, maxGroup), done: make(chan struct{}),
	}
	if err := st.Pending(func(e store.Entry) error { return g.restore(e, decode) }); err != nil {
		return nil, err
	}
	go g.run()
	return g, nil
}

func (g *Ingester) restore(e store.Entry, decode event.Decoder) error {
	if e.Shard < 0 || e.Shard >= Shards {
		return fmt.Errorf("the store has events of shard %d; this program has shards 0 to %d", e.Shard, Shards-1)
	}
	return splitPending(e.Data, func(raw []byte) error {
		var ev event.Event
		if _, err := decode.Decode(raw, &ev); err != nil {
			return fmt.Errorf("an acknowledged event can't be read back (%w): restore the data directory from a copy", err)
		}
		g.open[e.Shard] = append(g.open[e.Shard], ev)
		return nil
	})
}

// Ingest hands records to the store and waits for the outcome. On error none
// of them is stored.
//
// There is no way to give up half way: once queued, the events may be on disk.
func (g *Ingester) Ingest(records []Record) error {
	if len(records) == 0 {
		return nil
	}
	j := &job{records, make(chan error, 1)}
	if err := g.enqueue(j); err != nil {
		return err
	}
	return <-j.result
}

func (g *Ingester) enqueue(j *job) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return ErrClosed
	}
	// Never wait for room under the lock: the writer needs it to make room.
	select {
	case g.queue <- j:
		return nil
	default:
		return errBusy
	}
}

// errBusy is answered instead of queueing without bound.
var errBusy = errors.New("too many requests wait for the disk: send the events again later")

// IsBusy reports whether err asks the client to try later.
func IsBusy(err error) bool { return errors.Is(err, errBusy) || errors.Is(err, ErrClosed) }

// Close seals all open events and stops. No Ingest succeeds after it.
func (g *Ingester) Close() error {
	g.mu.Lock()
	first := !g.closed
	g.closed = true
	g.mu.Unlock()
	if first {
		close(g.queue)
	}
	<-g.done
	if !first {
		return nil
	}
	return g.sealAll()
}

// Totals returns the counters.
func (g *Ingester) Totals() Totals {
	return Totals{g.events.Load(), g.blocks.Load(), g.raw.Load(), g.stored.Load()}
}

// Scan calls blocks for each sealed block, then open for the events not yet
// sealed, of one shard or of all when shard is negative. Together they are the
// store at one moment. What the callbacks get is valid during the call only.
func (g *Ingester) Scan(shard int, blocks func([]byte) error, open func([]event.Event) error) error {
	g.mu.RLock()
	view, err := g.store.View()
	opens := g.open // slices whose visible part is never written again
	g.mu.RUnlock()
	if err != nil {
		return err
	}
	defer view.Close()
	if err := view.Blocks(shard, blocks); err != nil {
		return err
	}
	for i, events := range opens {
		if (shard < 0 || shard == i) && len(events) > 0 {
			if err := open(events); err != nil {
				return err
			}
		}
	}
	return nil
}
