package jsontext

// Redactor writes a text again, without spaces and with the values of some
// fields replaced, wherever they lie.
type Redactor struct {
	Out    []byte
	Hidden int // how many values were replaced
	names  map[string]bool
	hide   bool // the next value belongs to a hidden field
	inside int  // how deep in a hidden value
}

const replacement = `"***"`

// NewRedactor hides the fields of these names.
func NewRedactor(names ...string) *Redactor {
	r := &Redactor{names: map[string]bool{}}
	for _, name := range names {
		r.names[name] = true
	}
	return r
}

// Reset prepares for another text.
func (r *Redactor) Reset() { r.Out, r.Hidden, r.hide, r.inside = r.Out[:0], 0, false, 0 }

// before is called ahead of each value or name; it writes the comma, and tells
// whether the value is to be left out.
func (r *Redactor) before() (skip bool) {
	if r.inside > 0 {
		return true
	}
	if n := len(r.Out); n > 0 && r.Out[n-1] != '{' && r.Out[n-1] != '[' && r.Out[n-1] != ':' {
		r.Out = append(r.Out, ',')
	}
	if r.hide {
		r.hide = false
		r.Hidden++
		r.Out = append(r.Out, replacement...)
		return true
	}
	return false
}

// Open implements Visitor.
func (r *Redactor) Open(kind byte) {
	if r.before() {
		r.inside++
		return
	}
	r.Out = append(r.Out, kind)
}

// Close implements Visitor.
func (r *Redactor) Close(kind byte) {
	if r.inside > 0 {
		r.inside--
		return
	}
	r.Out = append(r.Out, kind)
}

// Key implements Visitor.
func (r *Redactor) Key(name []byte) {
	if r.before() {
		return
	}
	r.Out = append(AppendString(r.Out, name), ':')
	r.hide = r.names[string(name)]
}

// String implements Visitor.
func (r *Redactor) String(text []byte) {
	if !r.before() {
		r.Out = AppendString(r.Out, text)
	}
}

// Number implements Visitor.
func (r *Redactor) Number(text []byte) { r.raw(text) }

// Literal implements Visitor.
func (r *Redactor) Literal(text []byte) { r.raw(text) }

func (r *Redactor) raw(text []byte) {
	if !r.before() {
		r.Out = append(r.Out, text...)
	}
}
