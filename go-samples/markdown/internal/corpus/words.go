package corpus

import "math/rand/v2"

// writer appends Markdown to a document.
type writer struct {
	b     []byte
	r     *rand.Rand
	words []string
}

func (w *writer) put(parts ...string) {
	for _, p := range parts {
		w.b = append(w.b, p...)
	}
}

// chance is true in so many of a hundred cases.
func (w *writer) chance(percent int) bool { return w.r.IntN(100) < percent }

// between returns a number from least to most.
func (w *writer) between(least, most int) int { return least + w.r.IntN(most-least+1) }

// word favours the first words of the vocabulary, as languages do.
func (w *writer) word() string {
	n := len(w.words)
	return w.words[min(w.r.IntN(n), w.r.IntN(n), w.r.IntN(n))]
}

// name is a word as programs have them.
func (w *writer) name() string {
	switch w.r.IntN(3) {
	case 0:
		return w.word() + "_" + w.word()
	case 1:
		return w.word() + "." + w.word() + "()"
	}
	return "--" + w.word()
}

func (w *writer) phrase(least, most int) {
	for i := range w.between(least, most) {
		if i > 0 {
			w.put(" ")
		}
		w.put(w.word())
	}
}
