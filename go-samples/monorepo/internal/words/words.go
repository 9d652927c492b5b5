// Package words splits text into words in one spelling.
package words

import (
	"unicode"
	"unicode/utf8"
)

// MaxWord is the longest word in bytes; what is longer is cut.
const MaxWord = 64

// Splitter holds what can be used again from one text to the next.
type Splitter struct{ word []byte }

// Stems calls fn for every word of text without the endings of English plurals
// and participles; a word is valid during the call only.
func (s *Splitter) Stems(text []byte, fn func(word []byte)) {
	s.Each(text, func(word []byte) { fn(stem(word)) })
}

// Each calls fn for every word of text in lower case; a word is valid during
// the call only.
func (s *Splitter) Each(text []byte, fn func(word []byte)) {
	s.word = s.word[:0]
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c-'a' < 26 || c-'0' < 10:
			s.word = append(s.word, c)
			i++
			continue
		case c-'A' < 26:
			s.word = append(s.word, c|0x20)
			i++
			continue
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRune(text[i:])
			i += n
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				s.word = utf8.AppendRune(s.word, unicode.ToLower(r))
				continue
			}
		default:
			i++
		}
		s.flush(fn)
	}
	s.flush(fn)
}

func (s *Splitter) flush(fn func(word []byte)) {
	if len(s.word) > 0 {
		fn(cut(s.word))
		s.word = s.word[:0]
	}
}

// cut shortens a word to MaxWord, at the border of a character.
func cut(word []byte) []byte {
	if len(word) <= MaxWord {
		return word
	}
	n := MaxWord
	for !utf8.RuneStart(word[n]) {
		n--
	}
	return word[:n]
}

// stem cuts an ending off: -ies, -es after a hiss, -s, -ing, -ed.
func stem(word []byte) []byte {
	n := len(word)
	if n < 4 {
		return word
	}
	switch last := word[n-1]; {
	case last == 's' && word[n-2] == 'e' && word[n-3] == 'i' && n > 4:
		word[n-3] = 'y'
		return word[:n-2]
	case last == 's' && word[n-2] == 'e' && (word[n-3] == 's' || word[n-3] == 'x' || word[n-3] == 'h'):
		return word[:n-2]
	case last == 's' && word[n-2] != 's' && word[n-2] != 'u' && word[n-2] != 'i':
		return word[:n-1]
	case last == 'g' && n > 5 && word[n-2] == 'n' && word[n-3] == 'i' && vowel(word[:n-3]):
		return single(word[:n-3])
	case last == 'd' && n > 4 && word[n-2] == 'e' && vowel(word[:n-2]):
		return single(word[:n-2])
	}
	return word
}

func vowel(word []byte) bool {
	for _, c := range word {
		switch c {
		case 'a', 'e', 'i', 'o', 'u', 'y':
			return true
		}
	}
	return false
}

// single makes one letter of two at the end: stopp, stop.
func single(word []byte) []byte {
	if n := len(word); n > 2 && word[n-1] == word[n-2] && word[n-1] != 'l' && word[n-1] != 's' {
		return word[:n-1]
	}
	return word
}

// AppendSlug appends text as it stands in an address: its words and hyphens.
func (s *Splitter) AppendSlug(dst, text []byte) []byte {
	start := len(dst)
	s.Each(text, func(word []byte) {
		if len(dst) > start {
			dst = append(dst, '-')
		}
		dst = append(dst, word...)
	})
	return dst
}
