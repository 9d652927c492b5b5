package record

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	"probelab.dev/go-samples/monorepo/internal/jsontext"
)

// jsonDecoder reads an object a record, with space between them.
type jsonDecoder struct {
	src    []byte
	walker jsontext.Walker
	filler filler
}

func newJSONDecoder(src []byte) *jsonDecoder {
	return &jsonDecoder{src: src, filler: filler{names: names{}}}
}

// Decode implements Decoder.
func (d *jsonDecoder) Decode(r *Record) error {
	d.src = bytes.TrimLeft(d.src, " \t\r\n")
	if len(d.src) == 0 {
		return io.EOF
	}
	d.filler.r, d.filler.depth, d.filler.err = r, 0, nil
	n, err := d.walker.Walk(d.src, &d.filler)
	if err != nil {
		return err
	}
	d.src = d.src[n:]
	return d.filler.err
}

// filler is the Visitor that fills a record.
type filler struct {
	r     *Record
	names names
	key   []byte
	depth int
	err   error
}

func (f *filler) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
}

// Open implements jsontext.Visitor.
func (f *filler) Open(kind byte) {
	if f.depth++; f.depth > 1 || kind != '{' {
		f.fail("a record is an object of strings and numbers")
	}
}

// Close implements jsontext.Visitor.
func (f *filler) Close(byte) { f.depth-- }

// Key implements jsontext.Visitor.
func (f *filler) Key(name []byte) { f.key = append(f.key[:0], name...) }

// String implements jsontext.Visitor.
func (f *filler) String(text []byte) {
	if f.depth != 1 {
		f.fail("a record is an object of strings and numbers")
		return
	}
	switch string(f.key) {
	case "service":
		f.r.Service = f.names.keep(text)
	case "host":
		f.r.Host = f.names.keep(text)
	case "method":
		f.r.Method = f.names.keep(text)
	case "path":
		f.r.Path = f.names.keep(text)
	default:
		f.fail("%q is not a field of text", f.key)
	}
}

// Number implements jsontext.Visitor.
func (f *filler) Number(text []byte) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || f.depth != 1 {
		f.fail("%s must be a whole number", f.key)
		return
	}
	switch string(f.key) {
	case "time":
		f.r.Time = n
	case "status":
		f.r.Status = n
	case "micros":
		f.r.Micros = n
	case "bytes":
		f.r.Bytes = n
	default:
		f.fail("%q is not a field of numbers", f.key)
	}
}

// Literal implements jsontext.Visitor.
func (f *filler) Literal(text []byte) { f.fail("a record has no %s", text) }

type jsonEncoder struct{}

// Begin implements Encoder.
func (jsonEncoder) Begin(dst []byte) []byte { return dst }

// Append implements Encoder.
func (jsonEncoder) Append(dst []byte, r *Record) []byte {
	dst = append(dst, `{"time":`...)
	dst = strconv.AppendInt(dst, r.Time, 10)
	dst = append(dst, `,"service":`...)
	dst = jsontext.AppendString(dst, r.Service)
	dst = append(dst, `,"host":`...)
	dst = jsontext.AppendString(dst, r.Host)
	dst = append(dst, `,"method":`...)
	dst = jsontext.AppendString(dst, r.Method)
	dst = append(dst, `,"path":`...)
	dst = jsontext.AppendString(dst, r.Path)
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, r.Status, 10)
	dst = append(dst, `,"micros":`...)
	dst = strconv.AppendInt(dst, r.Micros, 10)
	dst = append(dst, `,"bytes":`...)
	dst = strconv.AppendInt(dst, r.Bytes, 10)
	return append(dst, "}\n"...)
}
