// Package block stores events by column.
//
// A block is immutable. Its layout, all integers little-endian base-128
// varints unless noted:
//
//	magic     4 bytes  "EVB1"
//	checksum  4 bytes  CRC-32C of the fields from body sum to raw, little-endian
//	body sum  4 bytes  CRC-32C of the body, little-endian
//	rows      uvarint
//	min, max  varint   least and greatest time, milliseconds since 1970
//	raw       uvarint  length of the columns before compression, bytes
//	body      zstd frame of the columns
//
// The header has a checksum of its own, so that a query can skip a block by
// its times without reading all of it.
//
// The columns, each preceded by its length in bytes, are: times (deltas),
// tenants, kinds (dictionary, then an index a row), values (deltas), ids
// (length shared with the id above, then the rest), attributes (dictionaries
// of names and of values, then for each row a count and pairs of indices).
// A reader skips the columns that it does not want.
package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"

	"probelab.dev/go-samples/eventstore/internal/event"
)

const (
	magic = "EVB1"
	// MaxRows and MaxRaw bound what a block can claim before it is believed.
	MaxRows = 1 << 20
	MaxRaw  = 256 << 20

	fixed = 12 // bytes of magic and checksums
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Writer encodes blocks. It keeps buffers between calls and is not safe for
// concurrent use.
type Writer struct {
	zw  *zstd.Encoder
	raw []byte
	col []byte
}

// NewWriter returns a Writer.
func NewWriter() (*Writer, error) {
	zw, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("zstd encoder: %w", err)
	}
	return &Writer{zw: zw}, nil
}

// Encode returns the block of rows, which must not be empty. values is the
// length of the values column when the caller knows it, else 0.
func (w *Writer) Encode(rows []event.Event, values int) ([]byte, error) {
	if len(rows) == 0 || len(rows) > MaxRows {
		return nil, fmt.Errorf("a block holds 1 to %d events, not %d", MaxRows, len(rows))
	}
	w.raw = w.raw[:0]
	minAt, maxAt := rows[0].At, rows[0].At
	for i := range rows {
		minAt, maxAt = min(minAt, rows[i].At), max(maxAt, rows[i].At)
	}
	w.column(encodeInts(w.col[:0], &delta{}, len(rows), func(i int) int64 { return rows[i].At }))
	w.column(encodeWords(w.col[:0], rows, func(e *event.Event) string { return e.Tenant }))
	w.column(encodeWords(w.col[:0], rows, func(e *event.Event) string { return e.Kind }))
	if cap(w.col) < values {
		w.col = make([]byte, 0, values)
	}
	w.column(encodeInts(w.col[:0], &delta{}, len(rows), func(i int) int64 { return rows[i].Value }))
	w.column(encodeIDs(w.col[:0], rows))
	w.column(encodeAttrs(w.col[:0], rows))
	if len(w.raw) > MaxRaw {
		return nil, fmt.Errorf("%d events take %d bytes, more than a block may (%d)", len(rows), len(w.raw), MaxRaw)
	}

	out := make([]byte, fixed, 64+len(w.raw)/3)
	copy(out, magic)
	out = binary.AppendUvarint(out, uint64(len(rows)))
	out = binary.AppendVarint(out, minAt)
	out = binary.AppendVarint(out, maxAt)
	out = binary.AppendUvarint(out, uint64(len(w.raw)))
	header := len(out)
	out = w.zw.EncodeAll(w.raw, out)
	binary.LittleEndian.PutUint32(out[8:], crc32.Checksum(out[header:], castagnoli))
	binary.LittleEndian.PutUint32(out[4:], crc32.Checksum(out[8:header], castagnoli))
	return out, nil
}

// column appends an encoded column and keeps its buffer for the next.
func (w *Writer) column(col []byte) {
	w.raw = binary.AppendUvarint(w.raw, uint64(len(col)))
	w.raw = append(w.raw, col...)
	w.col = col
}

func encodeWords(dst []byte, rows []event.Event, word func(*event.Event) string) []byte {
	var d dict
	index := make([]int64, len(rows))
	for i := range rows {
		index[i] = d.add(word(&rows[i]))
	}
	return encodeInts(d.encode(dst), plain{}, len(index), func(i int) int64 { return index[i] })
}

func encodeIDs(dst []byte, rows []event.Event) []byte {
	prev := ""
	for i := range rows {
		id := rows[i].ID
		n := shared(prev, id)
		dst = binary.AppendUvarint(dst, uint64(n))
		dst = appendString(dst, id[n:])
		prev = id
	}
	return dst
}

func shared(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

func encodeAttrs(dst []byte, rows []event.Event) []byte {
	var keys, values dict
	var pairs []byte
	for i := range rows {
		pairs = binary.AppendUvarint(pairs, uint64(len(rows[i].Attrs)))
		for _, a := range rows[i].Attrs {
			pairs = binary.AppendUvarint(pairs, uint64(keys.add(a.Key)))
			pairs = binary.AppendUvarint(pairs, uint64(values.add(a.Value)))
		}
	}
	return append(values.encode(keys.encode(dst)), pairs...)
}

// Header is what a block says of itself without being decompressed.
type Header struct {
	Rows         int
	MinAt, MaxAt int64
	Raw          int // bytes of the columns before compression
	sum          uint32
	body         []byte
}

// ParseHeader reads and checks a block's header.
func ParseHeader(b []byte) (Header, error) {
	var h Header
	if len(b) < fixed || string(b[:4]) != magic {
		return h, errors.New("not a block: it does not start with " + magic)
	}
	r := reader{buf: b[fixed:]}
	h.Rows = r.count(MaxRows)
	h.MinAt, h.MaxAt = r.varint(), r.varint()
	h.Raw = r.count(MaxRaw)
	h.body = r.buf
	h.sum = binary.LittleEndian.Uint32(b[8:])
	if r.err == nil && h.Rows == 0 {
		r.fail(errors.New("a block has no events"))
	}
	if r.err == nil && crc32.Checksum(b[8:len(b)-len(h.body)], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		r.fail(errDamaged)
	}
	return h, r.err
}

var errDamaged = errors.New("a block's checksum is wrong, so its data is damaged: restore the data directory from a copy")
