package event

import (
	"math/bits"
	"unicode/utf8"
)

// Tokens is JSON text as tokens. A decoder that reads through it takes any
// lexer, and pays for that with an allocation a token: see NewPerToken.
type Tokens interface {
	// Reset starts on another text.
	Reset(src []byte)
	// Next returns the token at the read position and moves past it.
	Next() *Token
	// Raw is a token's text as written, Text without escapes. What Text
	// returns is valid until the next call; ok is false for bad escapes and
	// for bytes that are not UTF-8.
	Raw(*Token) []byte
	Text(*Token) (text []byte, ok bool)
	// Pos is how many bytes were read.
	Pos() int
}

// Token is a span of the source. A string's span excludes its quotes; a
// mistake has a message.
type Token struct {
	kind       tokenKind
	escaped    bool
	start, end int
	mistake    string
}

// instead is the mistake of a token that is not what was expected.
func (t *Token) instead(expected string) error {
	if t.kind == tokMistake {
		expected = t.mistake
	}
	return &SyntaxError{t.start, expected}
}

// bitIndex is the place of a field's bit among fieldNames.
func bitIndex(bit int) int { return bits.TrailingZeros(uint(bit)) }

// tokMistake is a token that JSON does not have.
const tokMistake = tokOther + 1

// Lexer is the only Tokens there is.
type Lexer struct {
	lexer
	scratch []byte
}

// Reset implements Tokens.
func (l *Lexer) Reset(src []byte) { l.src, l.pos = src, 0 }

// Pos implements Tokens.
func (l *Lexer) Pos() int { return l.pos }

// Next implements Tokens. It is too large to be inlined unless a profile says
// that it is hot; then the Token lies on its caller's stack, if the caller
// lets go of it.
func (l *Lexer) Next() *Token {
	i := l.pos
	for i < len(l.src) && isSpace(l.src[i]) {
		i++
	}
	if i >= len(l.src) {
		l.pos = i
		return &Token{kind: tokEnd, start: i, end: i}
	}
	t := Token{kind: tokOther, start: i, end: i + 1}
	switch c := l.src[i]; c {
	case '{':
		t.kind = tokOpenObject
	case '}':
		t.kind = tokCloseObject
	case ':':
		t.kind = tokColon
	case ',':
		t.kind = tokComma
	case '"':
		l.quoted(&t)
		return &t
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		l.number(&t)
		return &t
	}
	l.pos = i + 1
	return &t
}

// quoted makes t the string that starts at t.
func (l *Lexer) quoted(t *Token) {
	tok, err := l.scanString(t.start + 1)
	t.kind, t.escaped, t.start, t.end = tok.kind, tok.escaped, tok.start, tok.end
	if mistake, ok := err.(*SyntaxError); ok {
		t.kind, t.start, t.mistake = tokMistake, mistake.Offset, mistake.Msg
	}
}

// number makes t the number that starts at t.
func (l *Lexer) number(t *Token) {
	i := t.start + 1
	for i < len(l.src) && isNumberByte(l.src[i]) {
		i++
	}
	t.kind, t.end, l.pos = tokNumber, i, i
}

// Raw implements Tokens.
func (l *Lexer) Raw(t *Token) []byte { return l.src[t.start:t.end] }

// Text implements Tokens.
func (l *Lexer) Text(t *Token) ([]byte, bool) {
	b := l.src[t.start:t.end]
	if t.escaped {
		var ok bool
		if l.scratch, ok = unescape(l.scratch[:0], b); !ok {
			return nil, false
		}
		b = l.scratch
	}
	return b, utf8.Valid(b)
}
