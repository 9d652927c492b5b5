// Package event holds the record that the store keeps and the decoders that
// read it from the wire.
package event

import "time"

// Limits on one event. They bound what one request can make the store hold.
const (
	MaxID        = 128
	MaxName      = 64 // tenant, kind and attribute keys
	MaxAttrValue = 256
	MaxAttrs     = 32
	MaxLine      = 64 << 10 // bytes of one encoded event
)

// Event is one record. At is in milliseconds since 1970-01-01T00:00:00Z.
type Event struct {
	ID     string
	Tenant string
	Kind   string
	At     int64
	Value  int64
	Attrs  []Attr
}

// Attr is one free label of an event.
type Attr struct {
	Key   string
	Value string
}

// maxAt is the last millisecond of the year 9999, the last that RFC 3339 can write.
const maxAt = 253402300799999

// ParseTime reads an RFC 3339 time as milliseconds, dropping what is finer.
func ParseTime(s string) (int64, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, false
	}
	at := t.UnixMilli()
	return at, ValidTime(at)
}

// ValidTime reports whether at lies in the years 1970 to 9999.
func ValidTime(at int64) bool { return at >= 0 && at <= maxAt }
