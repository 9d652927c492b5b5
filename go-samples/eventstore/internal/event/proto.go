package event

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Proto decodes one event of a Batch (event.proto), with the tag and length
// before it. Fields that the schema does not have are passed over. It is not
// safe for concurrent use.
type Proto struct{ names names }

// NewProto returns a decoder with an empty table of known names.
func NewProto() *Proto { return &Proto{names{}} }

const (
	protoEvents protowire.Number = 2 // of Batch

	protoID     protowire.Number = 1
	protoTenant protowire.Number = 2
	protoKind   protowire.Number = 3
	protoAt     protowire.Number = 4
	protoValue  protowire.Number = 5
	protoAttrs  protowire.Number = 6

	protoAttrKey   protowire.Number = 1
	protoAttrValue protowire.Number = 2
)

// protoTag is what the events of a Batch start with.
const protoTag = byte(protoEvents)<<3 | byte(protowire.BytesType)

// Decode implements Decoder.
func (d *Proto) Decode(src []byte, ev *Event) (int, error) {
	*ev = Event{Attrs: ev.Attrs[:0]}
	if len(src) == 0 || src[0] != protoTag {
		return 0, &SyntaxError{0, "a batch holds events, as field 2"}
	}
	message, n := protowire.ConsumeBytes(src[1:])
	if n < 0 {
		return 0, cutShort(0, n)
	}
	if len(message) > MaxLine {
		return 0, &SyntaxError{0, fmt.Sprintf("an event may have at most %d bytes", MaxLine)}
	}
	for rest := message; len(rest) > 0; {
		at := len(message) - len(rest)
		field, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return 0, cutShort(at, n)
		}
		m, err := d.field(ev, field, kind, rest[n:], at)
		if err != nil {
			return 0, err
		}
		rest = rest[n+m:]
	}
	if len(ev.Attrs) == 0 {
		ev.Attrs = nil
	}
	for i, text := range [...]string{ev.ID, ev.Tenant, ev.Kind} {
		if text == "" {
			return 0, &SyntaxError{0, fmt.Sprintf("field %q is missing", fieldNames[i])}
		}
	}
	return 1 + n, nil
}

func cutShort(at, code int) error {
	return &SyntaxError{at, fmt.Sprintf("the message can't be read: %v", protowire.ParseError(code))}
}

// field reads one field and returns its length; at is where it starts.
func (d *Proto) field(ev *Event, field protowire.Number, kind protowire.Type, b []byte, at int) (int, error) {
	want, known := protowire.BytesType, true
	switch field {
	case protoAt, protoValue:
		want = protowire.VarintType
	case protoID, protoTenant, protoKind, protoAttrs:
	default:
		known = false
	}
	if !known {
		n := protowire.ConsumeFieldValue(field, kind, b)
		if n < 0 {
			return 0, cutShort(at, n)
		}
		return n, nil
	}
	if kind != want {
		return 0, &SyntaxError{at, fmt.Sprintf("field %d is not of the type that event.proto gives it", field)}
	}
	if want == protowire.VarintType {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return 0, cutShort(at, n)
		}
		if field == protoValue {
			ev.Value = protowire.DecodeZigZag(v)
		} else if ev.At = int64(v); !ValidTime(ev.At) {
			return 0, &SyntaxError{at, "at must be milliseconds since 1970, up to the year 9999"}
		}
		return n, nil
	}
	text, n := protowire.ConsumeBytes(b)
	if n < 0 {
		return 0, cutShort(at, n)
	}
	var err error
	switch field {
	case protoID:
		err = checkText("id", text, MaxID, at)
		ev.ID = string(text)
	case protoTenant:
		err = checkText("tenant", text, MaxName, at)
		ev.Tenant = d.names.keep(text)
	case protoKind:
		err = checkText("kind", text, MaxName, at)
		ev.Kind = d.names.keep(text)
	case protoAttrs:
		err = d.attr(ev, text, at)
	}
	return n, err
}

// attr reads an entry of the map.
func (d *Proto) attr(ev *Event, entry []byte, at int) error {
	var key, value []byte
	for len(entry) > 0 {
		field, kind, n := protowire.ConsumeTag(entry)
		if n < 0 {
			return cutShort(at, n)
		}
		m := protowire.ConsumeFieldValue(field, kind, entry[n:])
		if m < 0 {
			return cutShort(at, m)
		}
		if kind == protowire.BytesType && (field == protoAttrKey || field == protoAttrValue) {
			text, _ := protowire.ConsumeBytes(entry[n:]) // its length was just read
			if field == protoAttrKey {
				key = text
			} else {
				value = text
			}
		}
		entry = entry[n+m:]
	}
	if len(ev.Attrs) == MaxAttrs {
		return &SyntaxError{at, fmt.Sprintf("an event may have at most %d attrs", MaxAttrs)}
	}
	if err := checkText("an attribute's name", key, MaxName, at); err != nil {
		return err
	}
	if err := checkText("an attribute", value, MaxAttrValue, at); err != nil {
		return err
	}
	attr := Attr{d.names.keep(key), d.names.keep(value)}
	for i := range ev.Attrs {
		if ev.Attrs[i].Key == attr.Key {
			return &SyntaxError{at, fmt.Sprintf("attribute %q is given twice", attr.Key)}
		}
	}
	ev.Attrs = append(ev.Attrs, attr)
	return nil
}

func checkText(what string, text []byte, limit, at int) error {
	if len(text) == 0 || len(text) > limit {
		return &SyntaxError{at, fmt.Sprintf("%s must have 1 to %d bytes, not %d", what, limit, len(text))}
	}
	if !utf8.Valid(text) {
		return &SyntaxError{at, what + " is not valid UTF-8"}
	}
	return nil
}

// AppendProto appends an event as a Batch holds it.
func AppendProto(dst []byte, ev *Event) []byte {
	var m []byte
	text := func(m []byte, field protowire.Number, s string) []byte {
		return protowire.AppendString(protowire.AppendTag(m, field, protowire.BytesType), s)
	}
	m = text(m, protoID, ev.ID)
	m = text(m, protoTenant, ev.Tenant)
	m = text(m, protoKind, ev.Kind)
	m = protowire.AppendVarint(protowire.AppendTag(m, protoAt, protowire.VarintType), uint64(ev.At))
	m = protowire.AppendVarint(protowire.AppendTag(m, protoValue, protowire.VarintType), protowire.EncodeZigZag(ev.Value))
	for _, a := range ev.Attrs {
		entry := text(text(nil, protoAttrKey, a.Key), protoAttrValue, a.Value)
		m = protowire.AppendBytes(protowire.AppendTag(m, protoAttrs, protowire.BytesType), entry)
	}
	return protowire.AppendBytes(append(dst, protoTag), m)
}

// Stored decodes what the store keeps until there is a block for it: events as
// they came, in either format.
type Stored struct {
	json  *JSON
	proto *Proto
}

// NewStored returns a decoder of both formats.
func NewStored() *Stored { return &Stored{NewJSON(), NewProto()} }

// Decode implements Decoder.
func (d *Stored) Decode(src []byte, ev *Event) (int, error) {
	if len(src) > 0 && src[0] == protoTag {
		return d.proto.Decode(src, ev)
	}
	return d.json.Decode(src, ev)
}
