package event

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokOpenObject
	tokCloseObject
	tokColon
	tokComma
	tokString
	tokNumber
	tokOther // a literal or bracket that no event contains
)

// token is a span of the source. A string's span excludes its quotes.
type token struct {
	kind       tokenKind
	escaped    bool // the string holds backslash escapes
	start, end int
}

// lexer splits JSON text into tokens without copying it.
type lexer struct {
	src []byte
	pos int
}

// SyntaxError is a mistake in one event, at a byte offset from its start.
type SyntaxError struct {
	Offset int
	Msg    string
}

func (e *SyntaxError) Error() string {
	return e.Msg + " (byte " + strconv.Itoa(e.Offset) + " of the event)"
}

// next returns the token at the read position and moves past it.
func (l *lexer) next() (token, error) {
	i := l.pos
	for i < len(l.src) && isSpace(l.src[i]) {
		i++
	}
	if i >= len(l.src) {
		l.pos = i
		return token{kind: tokEnd, start: i, end: i}, nil
	}
	kind := tokOther
	switch c := l.src[i]; c {
	case '{':
		kind = tokOpenObject
	case '}':
		kind = tokCloseObject
	case ':':
		kind = tokColon
	case ',':
		kind = tokComma
	case '"':
		return l.scanString(i + 1)
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return l.scanNumber(i)
	}
	l.pos = i + 1
	return token{kind: kind, start: i, end: i + 1}, nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// scanString reads a string whose first byte after the quote is at start.
func (l *lexer) scanString(start int) (token, error) {
	tok := token{kind: tokString, start: start}
	for i := start; i < len(l.src); i++ {
		switch c := l.src[i]; {
		case c == '"':
			tok.end = i
			l.pos = i + 1
			return tok, nil
		case c == '\\':
			tok.escaped = true
			i++ // the escaped byte can't end the string
		case c < ' ':
			return tok, &SyntaxError{i, "a string holds a control character; write it as \\u00XX"}
		}
	}
	l.pos = len(l.src)
	return tok, &SyntaxError{start, "a string has no closing quote"}
}

// scanNumber finds the end of a number; parseInt judges what is in it.
func (l *lexer) scanNumber(start int) (token, error) {
	i := start + 1
	for i < len(l.src) && isNumberByte(l.src[i]) {
		i++
	}
	l.pos = i
	return token{kind: tokNumber, start: start, end: i}, nil
}

func isNumberByte(c byte) bool {
	return c >= '0' && c <= '9' || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-'
}

// parseInt reads a JSON integer: no leading zero, fraction or exponent.
func parseInt(b []byte) (int64, bool) {
	digits, neg := b, false
	if len(b) > 0 && b[0] == '-' {
		digits, neg = b[1:], true
	}
	if len(digits) == 0 || len(digits) > 19 || len(digits) > 1 && digits[0] == '0' {
		return 0, false
	}
	var u uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		u = u*10 + uint64(c-'0')
	}
	if neg {
		return -int64(u), u <= 1<<63
	}
	return int64(u), u < 1<<63
}

// unescape appends the text of an escaped string to dst. ok is false for an
// unknown escape or half a surrogate pair.
func unescape(dst, s []byte) (out []byte, ok bool) {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			dst = append(dst, s[i])
			continue
		}
		i++
		if i >= len(s) {
			return dst, false
		}
		switch s[i] {
		case '"', '\\', '/':
			dst = append(dst, s[i])
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, n := hexRune(s[i+1:])
			if n == 0 {
				return dst, false
			}
			dst = utf8.AppendRune(dst, r)
			i += n
		default:
			return dst, false
		}
	}
	return dst, true
}

// hexRune reads what follows \u: four hex digits, or a surrogate pair
// written as XXXX\uXXXX. n is 0 when it is neither.
func hexRune(s []byte) (r rune, n int) {
	hi, ok := hex4(s)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(hi) {
		return hi, 4
	}
	if len(s) < 6 || s[4] != '\\' || s[5] != 'u' {
		return 0, 0
	}
	lo, ok := hex4(s[6:])
	r = utf16.DecodeRune(hi, lo)
	if !ok || r == utf8.RuneError {
		return 0, 0
	}
	return r, 10
}

func hex4(s []byte) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range s[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
