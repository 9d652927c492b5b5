package jsontext

import "strconv"

// Tree builds what encoding/json would: maps, slices, strings, float64, bool, nil.
type Tree struct {
	Root  any
	stack []frame
}

// frame is an object or array that is not closed yet.
type frame struct {
	object map[string]any
	key    string
	array  []any
}

func (t *Tree) add(v any) {
	if len(t.stack) == 0 {
		t.Root = v
		return
	}
	if f := &t.stack[len(t.stack)-1]; f.object != nil {
		f.object[f.key] = v
	} else {
		f.array = append(f.array, v)
	}
}

// Open implements Visitor.
func (t *Tree) Open(kind byte) {
	if kind == '{' {
		t.stack = append(t.stack, frame{object: map[string]any{}})
	} else {
		t.stack = append(t.stack, frame{array: []any{}})
	}
}

// Close implements Visitor.
func (t *Tree) Close(byte) {
	f := t.stack[len(t.stack)-1]
	t.stack = t.stack[:len(t.stack)-1]
	if f.object != nil {
		t.add(f.object)
	} else {
		t.add(f.array)
	}
}

// Key implements Visitor.
func (t *Tree) Key(name []byte) { t.stack[len(t.stack)-1].key = string(name) }

// String implements Visitor.
func (t *Tree) String(text []byte) { t.add(string(text)) }

// Number implements Visitor.
func (t *Tree) Number(text []byte) {
	f, _ := strconv.ParseFloat(string(text), 64) // too large a number is infinite
	t.add(f)
}

// Literal implements Visitor.
func (t *Tree) Literal(text []byte) {
	switch text[0] {
	case 'n':
		t.add(nil)
	default:
		t.add(text[0] == 't')
	}
}
