package jsontext

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// escaped reads the rest of a string whose first backslash is at i.
func (w *Walker) escaped(start, i int) ([]byte, error) {
	w.scratch = append(w.scratch[:0], w.src[start:i]...)
	for i < len(w.src) {
		switch c := w.src[i]; {
		case c == '"':
			w.pos = i + 1
			return w.valid(w.scratch)
		case c < 0x20:
			w.pos = i
			return nil, w.mistake("a control character in a string must be escaped")
		case c != '\\':
			w.scratch = append(w.scratch, c)
			i++
		default:
			n := w.escape(i + 1)
			if n == 0 {
				w.pos = i
				return nil, w.mistake("an escape is not one of JSON's")
			}
			i += 1 + n
		}
	}
	w.pos = len(w.src)
	return nil, w.mistake("a string has no closing quote")
}

// escape appends what the escape at i, after its backslash, stands for, and
// returns how long it is; 0 when it is none.
func (w *Walker) escape(i int) int {
	if i >= len(w.src) {
		return 0
	}
	switch c := w.src[i]; c {
	case '"', '\\', '/':
		w.scratch = append(w.scratch, c)
	case 'b':
		w.scratch = append(w.scratch, '\b')
	case 'f':
		w.scratch = append(w.scratch, '\f')
	case 'n':
		w.scratch = append(w.scratch, '\n')
	case 'r':
		w.scratch = append(w.scratch, '\r')
	case 't':
		w.scratch = append(w.scratch, '\t')
	case 'u':
		return w.unicode(i)
	default:
		return 0
	}
	return 1
}

// unicode reads uXXXX, or two of them that are a surrogate pair.
func (w *Walker) unicode(i int) int {
	r, ok := w.hex(i + 1)
	if !ok {
		return 0
	}
	if !utf16.IsSurrogate(r) {
		w.scratch = utf8.AppendRune(w.scratch, r)
		return 5
	}
	if i+6 < len(w.src) && w.src[i+5] == '\\' && w.src[i+6] == 'u' {
		low, ok := w.hex(i + 7)
		if both := utf16.DecodeRune(r, low); ok && both != utf8.RuneError {
			w.scratch = utf8.AppendRune(w.scratch, both)
			return 11
		}
	}
	// Half a pair: encoding/json reads it so too.
	w.scratch = utf8.AppendRune(w.scratch, utf8.RuneError)
	return 5
}

func (w *Walker) hex(i int) (rune, bool) {
	if i+4 > len(w.src) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(w.src[i:i+4]), 16, 32)
	return rune(n), err == nil
}

const hexDigits = "0123456789abcdef"

// AppendString appends text as a JSON string.
func AppendString[T string | []byte](dst []byte, text T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := range len(text) {
		c := text[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	dst = append(dst, text[start:]...)
	return append(dst, '"')
}
