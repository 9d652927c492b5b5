package record

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// The format proto is a sequence of messages, each after its length (as
// protodelim writes them):
//
//	message Record {
//	  int64 time = 1;  string service = 2;  string host = 3;   string method = 4;
//	  string path = 5; int64 status = 6;    int64 micros = 7;  int64 bytes = 8;
//	}
const (
	fieldTime protowire.Number = iota + 1
	fieldService
	fieldHost
	fieldMethod
	fieldPath
	fieldStatus
	fieldMicros
	fieldBytes
)

type protoDecoder struct {
	src   []byte
	names names
}

// Decode implements Decoder.
func (d *protoDecoder) Decode(r *Record) error {
	if len(d.src) == 0 {
		return io.EOF
	}
	message, n := protowire.ConsumeBytes(d.src)
	if n < 0 {
		return fmt.Errorf("the message can't be read: %w", protowire.ParseError(n))
	}
	d.src = d.src[n:]
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return fmt.Errorf("the message can't be read: %w", protowire.ParseError(n))
		}
		message = message[n:]
		if n, err := d.field(r, field, kind, message); err != nil {
			return err
		} else {
			message = message[n:]
		}
	}
	return nil
}

var errKind = errors.New("a field of the message has another type than Record's")

// field reads one field and returns its length. Unknown fields are left out.
func (d *protoDecoder) field(r *Record, field protowire.Number, kind protowire.Type, b []byte) (int, error) {
	var number *int64
	var text *string
	switch field {
	case fieldTime:
		number = &r.Time
	case fieldService:
		text = &r.Service
	case fieldHost:
		text = &r.Host
	case fieldMethod:
		text = &r.Method
	case fieldPath:
		text = &r.Path
	case fieldStatus:
		number = &r.Status
	case fieldMicros:
		number = &r.Micros
	case fieldBytes:
		number = &r.Bytes
	}
	n := 0
	switch {
	case number != nil && kind == protowire.VarintType:
		var v uint64
		v, n = protowire.ConsumeVarint(b)
		*number = int64(v)
	case text != nil && kind == protowire.BytesType:
		var v []byte
		v, n = protowire.ConsumeBytes(b)
		*text = d.names.keep(v)
	case number != nil || text != nil:
		return 0, errKind
	default:
		n = protowire.ConsumeFieldValue(field, kind, b)
	}
	if n < 0 {
		return 0, fmt.Errorf("the message can't be read: %w", protowire.ParseError(n))
	}
	return n, nil
}

type protoEncoder struct{ message []byte }

// Begin implements Encoder.
func (*protoEncoder) Begin(dst []byte) []byte { return dst }

// Append implements Encoder.
func (e *protoEncoder) Append(dst []byte, r *Record) []byte {
	m := e.message[:0]
	m = appendNumber(m, fieldTime, r.Time)
	m = appendText(m, fieldService, r.Service)
	m = appendText(m, fieldHost, r.Host)
	m = appendText(m, fieldMethod, r.Method)
	m = appendText(m, fieldPath, r.Path)
	m = appendNumber(m, fieldStatus, r.Status)
	m = appendNumber(m, fieldMicros, r.Micros)
	m = appendNumber(m, fieldBytes, r.Bytes)
	e.message = m
	return protowire.AppendBytes(dst, m)
}

// Fields of the zero value are left out, as in proto3.
func appendNumber(m []byte, field protowire.Number, v int64) []byte {
	if v == 0 {
		return m
	}
	return protowire.AppendVarint(protowire.AppendTag(m, field, protowire.VarintType), uint64(v))
}

func appendText(m []byte, field protowire.Number, v string) []byte {
	if v == "" {
		return m
	}
	return protowire.AppendString(protowire.AppendTag(m, field, protowire.BytesType), v)
}
