package event

import (
	"fmt"
	"unicode/utf8"
)

// Decoder reads events of one wire format. There is one format today; the
// ingest path depends on this interface and not on JSON.
type Decoder interface {
	// Decode fills ev from the event at the start of src and returns how many
	// bytes it took. Strings in ev do not point into src.
	Decode(src []byte, ev *Event) (int, error)
}

// JSON decodes one object of the fields id, tenant, kind, at, value and,
// optionally, attrs. It is strict: unknown, repeated and missing fields are
// errors. It is not safe for concurrent use.
type JSON struct {
	lex     lexer
	scratch []byte
	names   map[string]string
}

// NewJSON returns a decoder with an empty table of known names.
func NewJSON() *JSON { return &JSON{names: make(map[string]string)} }

const (
	hasID = 1 << iota
	hasTenant
	hasKind
	hasAt
	hasValue
	hasAttrs
	required = hasID | hasTenant | hasKind | hasAt | hasValue
)

var fieldNames = [...]string{"id", "tenant", "kind", "at", "value", "attrs"}

// Decode implements Decoder.
func (d *JSON) Decode(src []byte, ev *Event) (int, error) {
	cut := len(src) > MaxLine
	if cut {
		src = src[:MaxLine]
	}
	d.lex = lexer{src: src}
	*ev = Event{Attrs: ev.Attrs[:0]}
	if tok, err := d.lex.next(); err != nil {
		return 0, err
	} else if tok.kind != tokOpenObject {
		return 0, &SyntaxError{tok.start, "an event must be a JSON object: it starts with {"}
	}
	seen, err := d.members(ev)
	if err != nil {
		if cut && d.lex.pos >= MaxLine {
			return 0, &SyntaxError{0, fmt.Sprintf("an event may have at most %d bytes", MaxLine)}
		}
		return 0, err
	}
	if missing := required &^ seen; missing != 0 {
		for i, name := range fieldNames {
			if missing&(1<<i) != 0 {
				return 0, &SyntaxError{0, fmt.Sprintf("field %q is missing", name)}
			}
		}
	}
	if len(ev.Attrs) == 0 {
		ev.Attrs = nil
	}
	return d.lex.pos, nil
}

// members reads "name": value pairs up to the closing brace.
func (d *JSON) members(ev *Event) (seen int, err error) {
	for first := true; ; first = false {
		name, done, err := d.key(first)
		if err != nil || done {
			return seen, err
		}
		bit := fieldBit(d.lex.src[name.start:name.end])
		if bit == 0 {
			return seen, &SyntaxError{name.start, fmt.Sprintf(
				"unknown field %q; an event has id, tenant, kind, at, value and attrs", d.lex.src[name.start:name.end])}
		}
		if seen&bit != 0 {
			return seen, &SyntaxError{name.start, fmt.Sprintf("field %q is given twice", d.lex.src[name.start:name.end])}
		}
		seen |= bit
		if err := d.field(bit, ev); err != nil {
			return seen, err
		}
	}
}

func fieldBit(name []byte) int {
	for i, f := range fieldNames {
		if string(name) == f {
			return 1 << i
		}
	}
	return 0
}

func (d *JSON) field(bit int, ev *Event) (err error) {
	switch bit {
	case hasID:
		ev.ID, err = d.text("id", MaxID, false)
	case hasTenant:
		ev.Tenant, err = d.text("tenant", MaxName, true)
	case hasKind:
		ev.Kind, err = d.text("kind", MaxName, true)
	case hasAt:
		ev.At, err = d.time()
	case hasValue:
		ev.Value, err = d.integer()
	case hasAttrs:
		err = d.attrs(ev)
	}
	return err
}

// key reads the next member's name and colon, or the closing brace.
func (d *JSON) key(first bool) (name token, done bool, err error) {
	tok, err := d.lex.next()
	if err != nil {
		return tok, false, err
	}
	if tok.kind == tokCloseObject && first {
		return tok, true, nil
	}
	if !first {
		if tok.kind == tokCloseObject {
			return tok, true, nil
		}
		if tok.kind != tokComma {
			return tok, false, &SyntaxError{tok.start, "expected , or } after a value"}
		}
		if tok, err = d.lex.next(); err != nil {
			return tok, false, err
		}
	}
	if tok.kind != tokString {
		return tok, false, &SyntaxError{tok.start, "expected a field name in quotes"}
	}
	colon, err := d.lex.next()
	if err != nil {
		return tok, false, err
	}
	if colon.kind != tokColon {
		return tok, false, &SyntaxError{colon.start, "expected : after a field name"}
	}
	return tok, false, nil
}

// text reads a non-empty string value of at most limit bytes. Names come from
// small sets and are kept once (intern); identifiers differ each time.
func (d *JSON) text(field string, limit int, intern bool) (string, error) {
	tok, err := d.lex.next()
	if err != nil {
		return "", err
	}
	if tok.kind != tokString {
		return "", &SyntaxError{tok.start, fmt.Sprintf("%s must be a string", field)}
	}
	b, err := d.bytes(tok)
	if err != nil {
		return "", err
	}
	if len(b) == 0 || len(b) > limit {
		return "", &SyntaxError{tok.start, fmt.Sprintf("%s must have 1 to %d bytes, not %d", field, limit, len(b))}
	}
	if intern {
		return d.intern(b), nil
	}
	return string(b), nil
}

// bytes returns the text of a string token; valid until the next call.
func (d *JSON) bytes(tok token) ([]byte, error) {
	b := d.lex.src[tok.start:tok.end]
	if tok.escaped {
		var ok bool
		if d.scratch, ok = unescape(d.scratch[:0], b); !ok {
			return nil, &SyntaxError{tok.start, "a string holds a bad \\ escape"}
		}
		b = d.scratch
	}
	if !utf8.Valid(b) {
		return nil, &SyntaxError{tok.start, "a string is not valid UTF-8"}
	}
	return b, nil
}

// internMax bounds the table of names, which a client's data would otherwise grow without end.
const internMax = 4096

func (d *JSON) intern(b []byte) string {
	if s, ok := d.names[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(d.names) < internMax {
		d.names[s] = s
	}
	return s
}

func (d *JSON) integer() (int64, error) {
	tok, err := d.lex.next()
	if err != nil {
		return 0, err
	}
	if tok.kind == tokNumber {
		if v, ok := parseInt(d.lex.src[tok.start:tok.end]); ok {
			return v, nil
		}
	}
	return 0, &SyntaxError{tok.start, "value must be a whole number that fits in 64 bits"}
}

func (d *JSON) time() (int64, error) {
	tok, err := d.lex.next()
	if err != nil {
		return 0, err
	}
	var at int64
	var ok bool
	switch tok.kind {
	case tokNumber:
		at, ok = parseInt(d.lex.src[tok.start:tok.end])
		ok = ok && ValidTime(at)
	case tokString:
		if b, err := d.bytes(tok); err == nil {
			at, ok = ParseTime(string(b))
		}
	}
	if !ok {
		return 0, &SyntaxError{tok.start, "at must be milliseconds since 1970 or an RFC 3339 time, up to the year 9999"}
	}
	return at, nil
}

func (d *JSON) attrs(ev *Event) error {
	tok, err := d.lex.next()
	if err != nil {
		return err
	}
	if tok.kind != tokOpenObject {
		return &SyntaxError{tok.start, "attrs must be an object of strings"}
	}
	for first := true; ; first = false {
		name, done, err := d.key(first)
		if err != nil || done {
			return err
		}
		if len(ev.Attrs) == MaxAttrs {
			return &SyntaxError{name.start, fmt.Sprintf("an event may have at most %d attrs", MaxAttrs)}
		}
		kb, err := d.bytes(name)
		if err != nil {
			return err
		}
		if len(kb) == 0 || len(kb) > MaxName {
			return &SyntaxError{name.start, fmt.Sprintf("an attribute's name must have 1 to %d bytes, not %d", MaxName, len(kb))}
		}
		key := d.intern(kb)
		for i := range ev.Attrs {
			if ev.Attrs[i].Key == key {
				return &SyntaxError{name.start, fmt.Sprintf("attribute %q is given twice", key)}
			}
		}
		value, err := d.text("an attribute", MaxAttrValue, true)
		if err != nil {
			return err
		}
		ev.Attrs = append(ev.Attrs, Attr{key, value})
	}
}
