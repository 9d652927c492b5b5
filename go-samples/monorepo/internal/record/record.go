// Package record is the entry of an access log, in the formats that services
// hand it on in.
package record

import (
	"fmt"
	"io"
	"strings"
)

// Record is one answered request.
type Record struct {
	Time    int64 // milliseconds since 1970
	Service string
	Host    string
	Method  string
	Path    string
	Status  int64
	Micros  int64 // how long it took
	Bytes   int64 // of the answer
}

// Decoder reads records from one text.
type Decoder interface {
	// Decode fills r with the next record; io.EOF after the last.
	Decode(r *Record) error
}

// Encoder writes records into one text.
type Encoder interface {
	// Begin appends what comes before the first record.
	Begin(dst []byte) []byte
	Append(dst []byte, r *Record) []byte
}

// Formats are the names of all formats.
var Formats = []string{"json", "csv", "proto"}

// NewDecoder returns what reads src, which it may hold on to.
func NewDecoder(format string, src []byte) (Decoder, error) {
	switch format {
	case "json":
		return newJSONDecoder(src), nil
	case "csv":
		return newCSVDecoder(src)
	case "proto":
		return &protoDecoder{src: src, names: names{}}, nil
	}
	return nil, unknown(format)
}

// NewEncoder returns what writes a format.
func NewEncoder(format string) (Encoder, error) {
	switch format {
	case "json":
		return jsonEncoder{}, nil
	case "csv":
		return csvEncoder{}, nil
	case "proto":
		return &protoEncoder{}, nil
	}
	return nil, unknown(format)
}

func unknown(format string) error {
	return fmt.Errorf("there is no format %q; there are %s", format, strings.Join(Formats, ", "))
}

// Each calls fn for every record; r is valid during the call only.
func Each(d Decoder, fn func(r *Record) error) error {
	var r Record
	for n := 1; ; n++ {
		r = Record{}
		err := d.Decode(&r)
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = r.check()
		}
		if err == nil {
			err = fn(&r)
		}
		if err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
	}
}

func (r *Record) check() error {
	switch {
	case r.Service == "":
		return fmt.Errorf("it has no service")
	case r.Time < 0 || r.Micros < 0 || r.Bytes < 0:
		return fmt.Errorf("a time or a size in it is negative")
	case r.Status < 100 || r.Status > 599:
		return fmt.Errorf("its status is %d; it must be 100 to 599", r.Status)
	}
	return nil
}

// names keeps each string once: logs repeat them.
type names map[string]string

// maxNames bounds the table: what clients send would otherwise grow it without end.
const maxNames = 4096

func (n names) keep(b []byte) string {
	if s, ok := n[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(n) < maxNames {
		n[s] = s
	}
	return s
}
