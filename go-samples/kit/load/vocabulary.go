package load

import (
	"math/rand/v2"
	"strings"
)

var (
	onsets = []string{"b", "br", "c", "cl", "d", "dr", "f", "g", "gr", "h", "l", "m", "n", "p", "pl", "qu", "r", "s", "st", "t", "tr", "v", "w"}
	vowels = []string{"a", "e", "i", "o", "u", "ai", "ea", "ou", "ü", "é"}
	codas  = []string{"", "", "l", "m", "n", "nd", "r", "rt", "s", "st", "t", "x"}
)

// Vocabulary makes so many words for generated texts: pronounceable ones, the
// first ones short. The same seed is the same words.
func Vocabulary(seed uint64, count int) []string {
	r := rand.New(rand.NewPCG(seed, seed))
	words := make([]string, count)
	for i := range words {
		var b strings.Builder
		for range 1 + r.IntN(2+i/300) {
			b.WriteString(onsets[r.IntN(len(onsets))])
			// The last two vowels are rare: most text is mostly ASCII.
			b.WriteString(vowels[min(r.IntN(len(vowels)), r.IntN(len(vowels)))])
			b.WriteString(codas[r.IntN(len(codas))])
		}
		words[i] = b.String()
	}
	return words
}
