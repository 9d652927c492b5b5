package block

import (
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"

	"probelab.dev/go-samples/eventstore/internal/event"
)

// Columns says which of the costlier columns a reader wants.
type Columns uint8

// Times, tenants, kinds and values are always read.
const (
	IDs Columns = 1 << iota
	Attrs
	All = IDs | Attrs
)

// Reader decodes blocks. It reuses its buffers: the events of one Decode are
// valid until the next. It is not safe for concurrent use.
type Reader struct {
	zr     *zstd.Decoder
	raw    []byte
	ints   []int64
	events []event.Event
	attrs  []event.Attr
}

// NewReader returns a Reader.
func NewReader() (*Reader, error) {
	zr, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxRaw))
	if err != nil {
		return nil, fmt.Errorf("zstd decoder: %w", err)
	}
	return &Reader{zr: zr}, nil
}

// Close frees what the decompressor holds.
func (d *Reader) Close() { d.zr.Close() }

// Decode returns the events of a block. Columns not wanted are left empty.
func (d *Reader) Decode(h Header, want Columns) ([]event.Event, error) {
	if crc32.Checksum(h.body, castagnoli) != h.sum {
		return nil, errDamaged
	}
	raw, err := d.zr.DecodeAll(h.body, d.raw[:0])
	if err != nil {
		return nil, fmt.Errorf("a block can't be decompressed: %w", err)
	}
	d.raw = raw
	if len(raw) != h.Raw {
		return nil, fmt.Errorf("a block decompressed to %d bytes; its header says %d", len(raw), h.Raw)
	}
	// Each row takes at least a byte in each column.
	if h.Rows > len(raw) {
		return nil, errors.New("a block has fewer bytes than rows")
	}
	if cap(d.events) < h.Rows {
		d.events = make([]event.Event, h.Rows)
		d.ints = make([]int64, h.Rows)
	}
	rows, ints := d.events[:h.Rows], d.ints[:h.Rows]
	clear(rows)

	all := reader{buf: raw}
	next := func() reader { return reader{buf: all.bytes(all.count(len(all.buf)))} }
	times, tenants, kinds, values, ids, attrs := next(), next(), next(), next(), next(), next()
	if all.err == nil && len(all.buf) != 0 {
		all.err = errors.New("bytes follow the last column")
	}
	if all.err != nil {
		return nil, fmt.Errorf("a block's columns are cut wrongly: %w", all.err)
	}

	times.deltas(ints)
	for i, v := range ints {
		rows[i].At = v
		if v < h.MinAt || v > h.MaxAt {
			times.fail(errors.New("a time is outside the range of the header"))
		}
	}
	values.deltas(ints)
	for i, v := range ints {
		rows[i].Value = v
	}
	tenants.words(rows, func(e *event.Event, s string) { e.Tenant = s })
	kinds.words(rows, func(e *event.Event, s string) { e.Kind = s })
	cols := []column{{"times", &times}, {"values", &values}, {"tenants", &tenants}, {"kinds", &kinds}}
	if want&IDs != 0 {
		ids.ids(rows)
		cols = append(cols, column{"ids", &ids})
	}
	if want&Attrs != 0 {
		d.attrs = attrs.attrs(rows, d.attrs[:0])
		cols = append(cols, column{"attributes", &attrs})
	}
	for _, c := range cols {
		if c.r.err == nil && len(c.r.buf) != 0 {
			c.r.err = errors.New("bytes follow the last row")
		}
		if c.r.err != nil {
			return nil, fmt.Errorf("a block's %s are damaged: %w", c.name, c.r.err)
		}
	}
	return rows, nil
}

type column struct {
	name string
	r    *reader
}

func (r *reader) words(rows []event.Event, set func(*event.Event, string)) {
	words := r.dict()
	for i := range rows {
		set(&rows[i], r.word(words))
	}
}

func (r *reader) ids(rows []event.Event) {
	prev := ""
	for i := range rows {
		n := r.count(len(prev))
		rest := r.bytes(r.count(event.MaxID - n))
		if r.err != nil {
			return
		}
		prev = prev[:n] + string(rest)
		rows[i].ID = prev
	}
}

// attrs cuts the rows' attributes from one slice, which it returns. Rows that
// got theirs before the slice had to grow keep the old memory.
func (r *reader) attrs(rows []event.Event, flat []event.Attr) []event.Attr {
	keys, values := r.dict(), r.dict()
	for i := range rows {
		n := r.count(event.MaxAttrs)
		if n == 0 {
			continue
		}
		start := len(flat)
		for range n {
			flat = append(flat, event.Attr{Key: r.word(keys), Value: r.word(values)})
		}
		rows[i].Attrs = flat[start:len(flat):len(flat)]
	}
	return flat
}
