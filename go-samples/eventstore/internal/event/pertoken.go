package event

import "fmt"

// perToken decodes the same events as JSON, through the interface Tokens:
// before. perEvent is after; the two differ in the type of one field.
type perToken struct {
	tokens Tokens
	names  names
}

// NewPerToken returns a decoder whose interface is called for each token. The
// compiler can't see where a *Token goes that was got through an interface and
// is given to one, so each is allocated; and a profile, which turns the calls
// into direct ones with the interface as the other way, changes nothing of it.
func NewPerToken() Decoder { return &perToken{tokens: &Lexer{}, names: names{}} }

// Decode implements Decoder.
//
// noinline, here and below: in a body that was inlined, a call has another
// caller and another line than in the profile, and is no longer hot.
//
//go:noinline
func (d *perToken) Decode(src []byte, ev *Event) (int, error) {
	cut := len(src) > MaxLine
	if cut {
		src = src[:MaxLine]
	}
	d.tokens.Reset(src)
	*ev = Event{Attrs: ev.Attrs[:0]}
	if t := d.tokens.Next(); t.kind != tokOpenObject {
		return 0, t.instead("an event must be a JSON object: it starts with {")
	}
	seen, err := d.members(ev)
	if err != nil {
		if cut && d.tokens.Pos() >= MaxLine {
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
	return d.tokens.Pos(), nil
}

// members reads "name": value pairs up to the closing brace.
//
//go:noinline
func (d *perToken) members(ev *Event) (seen int, err error) {
	for first := true; ; first = false {
		t := d.tokens.Next()
		if t.kind == tokCloseObject {
			return seen, nil
		}
		if !first {
			if t.kind != tokComma {
				return seen, t.instead("expected , or } after a value")
			}
			t = d.tokens.Next()
		}
		if t.kind != tokString {
			return seen, t.instead("expected a field name in quotes")
		}
		bit := fieldBit(d.tokens.Raw(t))
		if bit == 0 || seen&bit != 0 {
			return seen, &SyntaxError{t.start, fmt.Sprintf("unknown field %q, or it is given twice", d.tokens.Raw(t))}
		}
		seen |= bit
		if t := d.tokens.Next(); t.kind != tokColon {
			return seen, t.instead("expected : after a field name")
		}
		if err := d.field(bit, ev); err != nil {
			return seen, err
		}
	}
}

// field reads the value of a field.
//
//go:noinline
func (d *perToken) field(bit int, ev *Event) error {
	t := d.tokens.Next()
	switch {
	case bit == hasAttrs:
		if t.kind != tokOpenObject {
			return t.instead("attrs must be an object of strings")
		}
		return d.attrs(ev)
	case t.kind == tokNumber && (bit == hasValue || bit == hasAt):
		v, ok := parseInt(d.tokens.Raw(t))
		if !ok || bit == hasAt && !ValidTime(v) {
			return t.instead(fieldNames[bitIndex(bit)] + " must be a whole number in range")
		}
		if bit == hasAt {
			ev.At = v
		} else {
			ev.Value = v
		}
		return nil
	case t.kind != tokString || bit == hasValue:
		return t.instead(fieldNames[bitIndex(bit)] + " is not of its type")
	}
	text, ok := d.tokens.Text(t)
	if !ok {
		return t.instead("a string holds a bad \\ escape, or is not valid UTF-8")
	}
	if bit == hasAt {
		if ev.At, ok = ParseTime(string(text)); !ok {
			return t.instead("at is not an RFC 3339 time")
		}
		return nil
	}
	limit := MaxName
	if bit == hasID {
		limit = MaxID
	}
	if len(text) == 0 || len(text) > limit {
		return t.instead(fmt.Sprintf("%s must have 1 to %d bytes, not %d", fieldNames[bitIndex(bit)], limit, len(text)))
	}
	switch bit {
	case hasID:
		ev.ID = string(text)
	case hasTenant:
		ev.Tenant = d.names.keep(text)
	case hasKind:
		ev.Kind = d.names.keep(text)
	}
	return nil
}

// attrs reads the pairs of attrs up to the closing brace.
//
//go:noinline
func (d *perToken) attrs(ev *Event) error {
	for first := true; ; first = false {
		t := d.tokens.Next()
		if t.kind == tokCloseObject {
			return nil
		}
		if !first {
			if t.kind != tokComma {
				return t.instead("expected , or } after a value")
			}
			t = d.tokens.Next()
		}
		if t.kind != tokString {
			return t.instead("expected a name in quotes")
		}
		text, ok := d.tokens.Text(t)
		if !ok || len(text) == 0 || len(text) > MaxName || len(ev.Attrs) == MaxAttrs {
			return t.instead(fmt.Sprintf("an attribute's name must have 1 to %d bytes, and there may be %d", MaxName, MaxAttrs))
		}
		a := Attr{Key: d.names.keep(text)}
		for i := range ev.Attrs {
			if ev.Attrs[i].Key == a.Key {
				return t.instead(fmt.Sprintf("attribute %q is given twice", a.Key))
			}
		}
		if t := d.tokens.Next(); t.kind != tokColon {
			return t.instead("expected : after a name")
		}
		v := d.tokens.Next()
		if v.kind != tokString {
			return v.instead("an attribute must be a string")
		}
		if text, ok = d.tokens.Text(v); !ok || len(text) == 0 || len(text) > MaxAttrValue {
			return v.instead(fmt.Sprintf("an attribute must have 1 to %d bytes of UTF-8", MaxAttrValue))
		}
		a.Value = d.names.keep(text)
		ev.Attrs = append(ev.Attrs, a)
	}
}
