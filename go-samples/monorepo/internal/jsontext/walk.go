// Package jsontext walks JSON text without building a tree: it tells a Visitor
// what comes, in order. Each service visits in its own way.
package jsontext

import (
	"fmt"
	"unicode/utf8"
)

// Visitor is told what is in a text. The bytes it gets are valid during the
// call only; keys and strings are unescaped, numbers and literals as written.
type Visitor interface {
	Open(kind byte)  // '{' or '['
	Close(kind byte) // '}' or ']'
	Key(name []byte)
	String(text []byte)
	Number(text []byte)
	Literal(text []byte) // true, false or null
}

// MaxDepth is how deep objects and arrays may lie in one another.
const MaxDepth = 64

// SyntaxError is a mistake at a byte offset from the start of the text.
type SyntaxError struct {
	Offset int
	Text   string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s (byte %d)", e.Text, e.Offset) }

// Walker holds what can be used again from one text to the next. It is not
// safe for concurrent use.
type Walker struct {
	src     []byte
	pos     int
	scratch []byte
	visitor Visitor
}

// Walk visits the value at the start of src and returns how many bytes it took.
func (w *Walker) Walk(src []byte, v Visitor) (int, error) {
	w.src, w.pos, w.visitor = src, 0, v
	err := w.value(0)
	return w.pos, err
}

// WalkAll visits the only value of src.
func (w *Walker) WalkAll(src []byte, v Visitor) error {
	if _, err := w.Walk(src, v); err != nil {
		return err
	}
	if w.space(); w.pos < len(w.src) {
		return w.mistake("there is something after the value")
	}
	return nil
}

func (w *Walker) mistake(text string) error { return &SyntaxError{w.pos, text} }

func (w *Walker) space() {
	for w.pos < len(w.src) {
		switch w.src[w.pos] {
		case ' ', '\t', '\n', '\r':
			w.pos++
		default:
			return
		}
	}
}

// peek returns the next byte that is not space; 0 at the end.
func (w *Walker) peek() byte {
	w.space()
	if w.pos == len(w.src) {
		return 0
	}
	return w.src[w.pos]
}

func (w *Walker) value(depth int) error {
	if depth > MaxDepth {
		return w.mistake(fmt.Sprintf("values lie more than %d deep", MaxDepth))
	}
	switch c := w.peek(); {
	case c == '{':
		return w.object(depth)
	case c == '[':
		return w.array(depth)
	case c == '"':
		text, err := w.text()
		if err == nil {
			w.visitor.String(text)
		}
		return err
	case c == '-' || c >= '0' && c <= '9':
		text, err := w.number()
		if err == nil {
			w.visitor.Number(text)
		}
		return err
	case c == 't':
		return w.literal("true")
	case c == 'f':
		return w.literal("false")
	case c == 'n':
		return w.literal("null")
	}
	return w.mistake("a value was expected")
}

func (w *Walker) object(depth int) error {
	w.pos++
	w.visitor.Open('{')
	for first := true; ; first = false {
		switch c := w.peek(); {
		case c == '}' && first:
			w.pos++
			w.visitor.Close('}')
			return nil
		case c != '"':
			return w.mistake("a name in quotes was expected")
		}
		name, err := w.text()
		if err != nil {
			return err
		}
		w.visitor.Key(name)
		if w.peek() != ':' {
			return w.mistake("a colon was expected")
		}
		w.pos++
		if err := w.value(depth + 1); err != nil {
			return err
		}
		if done, err := w.after('}'); done || err != nil {
			return err
		}
	}
}

func (w *Walker) array(depth int) error {
	w.pos++
	w.visitor.Open('[')
	if w.peek() == ']' {
		w.pos++
		w.visitor.Close(']')
		return nil
	}
	for {
		if err := w.value(depth + 1); err != nil {
			return err
		}
		if done, err := w.after(']'); done || err != nil {
			return err
		}
	}
}

// after reads the comma or the end after a value.
func (w *Walker) after(end byte) (done bool, err error) {
	switch w.peek() {
	case ',':
		w.pos++
		return false, nil
	case end:
		w.pos++
		w.visitor.Close(end)
		return true, nil
	}
	return false, w.mistake(fmt.Sprintf("a comma or %c was expected", end))
}

func (w *Walker) literal(word string) error {
	end := w.pos + len(word)
	if end > len(w.src) || string(w.src[w.pos:end]) != word {
		return w.mistake("a value was expected")
	}
	w.visitor.Literal(w.src[w.pos:end])
	w.pos = end
	return nil
}

// number reads what JSON's grammar allows: -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?
func (w *Walker) number() ([]byte, error) {
	start := w.pos
	if w.src[w.pos] == '-' {
		w.pos++
	}
	whole := w.digits()
	if whole == 0 || whole > 1 && w.src[w.pos-whole] == '0' {
		return nil, w.mistake("a number is not as JSON writes it")
	}
	if w.pos < len(w.src) && w.src[w.pos] == '.' {
		w.pos++
		if w.digits() == 0 {
			return nil, w.mistake("digits were expected after the point")
		}
	}
	if w.pos < len(w.src) && w.src[w.pos]|0x20 == 'e' {
		w.pos++
		if w.pos < len(w.src) && (w.src[w.pos] == '+' || w.src[w.pos] == '-') {
			w.pos++
		}
		if w.digits() == 0 {
			return nil, w.mistake("digits were expected in the exponent")
		}
	}
	return w.src[start:w.pos], nil
}

func (w *Walker) digits() int {
	start := w.pos
	for w.pos < len(w.src) && w.src[w.pos]-'0' < 10 {
		w.pos++
	}
	return w.pos - start
}

// text reads a string with its quotes.
func (w *Walker) text() ([]byte, error) {
	start := w.pos + 1
	for i := start; i < len(w.src); i++ {
		switch c := w.src[i]; {
		case c == '"':
			text := w.src[start:i]
			w.pos = i + 1
			return w.valid(text)
		case c == '\\':
			return w.escaped(start, i)
		case c < 0x20:
			w.pos = i
			return nil, w.mistake("a control character in a string must be escaped")
		}
	}
	w.pos = len(w.src)
	return nil, w.mistake("a string has no closing quote")
}

func (w *Walker) valid(text []byte) ([]byte, error) {
	if !utf8.Valid(text) {
		return nil, w.mistake("a string is not valid UTF-8")
	}
	return text, nil
}
