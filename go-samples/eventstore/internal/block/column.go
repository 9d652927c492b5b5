package block

import (
	"encoding/binary"
	"errors"
)

var errShort = errors.New("a column ends early")

// intEncoder writes one column of integers, value by value.
type intEncoder interface {
	encode(dst []byte, v int64) []byte
}

// delta stores the difference from the value before it as a zigzag varint.
// Neighbouring times and readings are close, so most differences take a byte
// or two.
type delta struct{ prev int64 }

func (d *delta) encode(dst []byte, v int64) []byte {
	dst = binary.AppendVarint(dst, v-d.prev) // wraps on overflow, and wraps back in decode
	d.prev = v
	return dst
}

// plain stores a small non-negative number, such as a dictionary index.
type plain struct{}

func (plain) encode(dst []byte, v int64) []byte { return binary.AppendUvarint(dst, uint64(v)) }

func encodeInts(dst []byte, enc intEncoder, n int, at func(i int) int64) []byte {
	for i := range n {
		dst = enc.encode(dst, at(i))
	}
	return dst
}

// dict gives each distinct string a number in order of first appearance.
type dict struct {
	index map[string]int64
	words []string
}

func (d *dict) add(s string) int64 {
	if i, ok := d.index[s]; ok {
		return i
	}
	if d.index == nil {
		d.index = make(map[string]int64)
	}
	i := int64(len(d.words))
	d.index[s] = i
	d.words = append(d.words, s)
	return i
}

func (d *dict) encode(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(d.words)))
	for _, w := range d.words {
		dst = appendString(dst, w)
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// reader consumes a column. After an error every read returns zero, so that
// callers check err once at the end.
type reader struct {
	buf []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.buf = nil
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.buf)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.buf)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

// count reads a length that can't exceed limit.
func (r *reader) count(limit int) int {
	v := r.uvarint()
	if v > uint64(limit) {
		r.fail(errors.New("a count is larger than the data allows"))
		return 0
	}
	return int(v)
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.buf) {
		r.fail(errShort)
		return nil
	}
	b := r.buf[:n]
	r.buf = r.buf[n:]
	return b
}

func (r *reader) string() string { return string(r.bytes(r.count(len(r.buf)))) }

// deltas fills dst with a delta column.
func (r *reader) deltas(dst []int64) {
	var v int64
	for i := range dst {
		v += r.varint()
		dst[i] = v
	}
}

// dict reads a dictionary. Each word takes at least its length byte, so the
// count is bounded by what is left and can't make us allocate more than that.
func (r *reader) dict() []string {
	words := make([]string, r.count(len(r.buf)))
	for i := range words {
		words[i] = r.string()
	}
	return words
}

// word reads one dictionary index.
func (r *reader) word(words []string) string {
	i := r.uvarint()
	if i >= uint64(len(words)) {
		r.fail(errors.New("an index is outside its dictionary"))
		return ""
	}
	return words[i]
}
