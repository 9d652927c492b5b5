package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"testing"

	"probelab.dev/go-samples/eventstore/internal/event"
	"probelab.dev/go-samples/eventstore/internal/store"
)

func open(t *testing.T, dir string, blockEvents int, d Durability) (*Ingester, *store.Store) {
	t.Helper()
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() }) // a test may have closed it
	in, err := Open(st, blockEvents, d, event.NewJSON())
	if err != nil {
		t.Fatal(err)
	}
	return in, st
}

func records(t *testing.T, tenant string, n int) []Record {
	t.Helper()
	dec := event.NewJSON()
	recs := make([]Record, n)
	for i := range recs {
		raw := fmt.Appendf(nil, `{"id":"%d","tenant":"%s","kind":"k","at":%d,"value":%d}`, i, tenant, i, i)
		if _, err := dec.Decode(raw, &recs[i].Event); err != nil {
			t.Fatal(err)
		}
		recs[i].Raw = raw
	}
	return recs
}

// stored returns how many blocks and open events a scan sees.
func stored(t *testing.T, in *Ingester) (blocks, open int) {
	t.Helper()
	err := in.Scan(-1, func([]byte) error { blocks++; return nil },
		func(e []event.Event) error { open += len(e); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return blocks, open
}

func TestSealBlockIsTheLengthOfTheColumn(t *testing.T) {
	for _, values := range [][]int64{
		{}, {0}, {63, -64}, {64}, {1, 1, 1}, {math.MaxInt64, math.MinInt64, 0}, {-1, 1 << 40, 7},
	} {
		var col []byte
		prev := int64(0)
		for _, v := range values {
			col = binary.AppendVarint(col, v-prev)
			prev = v
		}
		if got := SealBlock(values); got != len(col) {
			t.Errorf("%v: got %d, encoded %d bytes", values, got, len(col))
		}
	}
}

// The hashes are fixed by what is on disk; these come from FNV's published test vectors.
func TestShardOf(t *testing.T) {
	for tenant, hash := range map[string]uint32{"": 0x811c9dc5, "a": 0xe40c292c, "foobar": 0xbf9cf968} {
		if got := ShardOf(tenant); got != int(hash%Shards) {
			t.Errorf("%q: got shard %d, want %d", tenant, got, hash%Shards)
		}
	}
}

func TestBlockIsSealedWhenFull(t *testing.T) {
	in, _ := open(t, t.TempDir(), 10, AtSeal)
	for i, r := range records(t, "acme", 25) {
		if err := in.Ingest([]Record{r}); err != nil {
			t.Fatal(err)
		}
		wantBlocks, wantOpen := (i+1)/10, (i+1)%10
		if blocks, open := stored(t, in); blocks != wantBlocks || open != wantOpen {
			t.Fatalf("after %d events: %d blocks and %d open, want %d and %d", i+1, blocks, open, wantBlocks, wantOpen)
		}
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if got := in.Totals(); got.Events != 25 || got.Blocks != 3 {
		t.Errorf("got %+v", got)
	}
}

func TestManyEventsAtOnceMakeSeveralBlocks(t *testing.T) {
	in, _ := open(t, t.TempDir(), 10, Always)
	if err := in.Ingest(records(t, "acme", 35)); err != nil {
		t.Fatal(err)
	}
	if blocks, open := stored(t, in); blocks != 3 || open != 0 {
		t.Errorf("%d blocks and %d open, want 3 (10, 10 and 15 events) and 0", blocks, open)
	}
}

func TestAcknowledgedEventsComeBack(t *testing.T) {
	dir := t.TempDir()
	in, st := open(t, dir, 10, Always)
	for _, n := range []int{3, 4, 5, 2} { // 12 fill a block; 2 stay open
		if err := in.Ingest(records(t, "acme", n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Close(); err != nil { // without in.Close: as if killed
		t.Fatal(err)
	}
	again, _ := open(t, dir, 10, Always)
	if blocks, open := stored(t, again); blocks != 1 || open != 2 {
		t.Errorf("%d blocks and %d open, want 1 and 2", blocks, open)
	}
}

func TestFailedCommitStoresNothing(t *testing.T) {
	in, st := open(t, t.TempDir(), 10, Always)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	before := ShardBytes(ShardOf("acme"))
	if err := in.Ingest(records(t, "acme", 3)); err == nil {
		t.Fatal("acknowledged events that a closed store can't hold")
	}
	if got := in.Totals(); got != (Totals{}) {
		t.Errorf("counted %+v", got)
	}
	if got := ShardBytes(ShardOf("acme")); got != before {
		t.Errorf("accounted %d bytes", got-before)
	}
}

func TestClosedIngesterRefuses(t *testing.T) {
	in, _ := open(t, t.TempDir(), 10, Always)
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := in.Ingest(records(t, "acme", 1)); !errors.Is(err, ErrClosed) || !IsBusy(err) {
		t.Errorf("got %v", err)
	}
}

func TestRecordSizeAddsUp(t *testing.T) {
	in, _ := open(t, t.TempDir(), 10, AtSeal)
	shard := ShardOf("acme")
	before, want := ShardBytes(shard), int64(0)
	recs := records(t, "acme", 7)
	for _, r := range recs {
		want += int64(len(r.Raw))
	}
	if err := in.Ingest(recs); err != nil {
		t.Fatal(err)
	}
	if got := ShardBytes(shard) - before; got != want {
		t.Errorf("accounted %d bytes, want %d", got, want)
	}
}

func TestPendingListCutShort(t *testing.T) {
	data := appendPending(nil, []byte("abc"))
	if err := splitPending(data[:2], func([]byte) error { return nil }); err == nil {
		t.Error("a list cut short was accepted")
	}
}
