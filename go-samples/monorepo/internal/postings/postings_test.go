package postings

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// build indexes documents of few words, so that each is in many.
func build(r *rand.Rand, docs int) (*Segment, []map[string]int) {
	b := NewBuilder()
	var counts []map[string]int
	for range docs {
		words, count := []string{}, map[string]int{}
		for range 1 + r.IntN(12) {
			w := fmt.Sprintf("w%d", r.IntN(15))
			words = append(words, w)
			count[w]++
		}
		b.Add([]byte(strings.Join(words, " ")))
		counts = append(counts, count)
	}
	return b.Done(), counts
}

// By frequency, the result can be computed by looking at every document.
func TestSearchFindsTheBest(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	a, countsA := build(r, 300)
	b, countsB := build(r, 100)
	for range 40 {
		asked := []string{fmt.Sprintf("w%d", r.IntN(16)), fmt.Sprintf("w%d", r.IntN(16))}
		hits, found := Search([]*Segment{a, b}, []byte(strings.Join(asked, " ")), Frequency{}, 10)
		want := order10(asked, countsA, countsB)
		if found != want.found || len(hits) != len(want.hits) {
			t.Fatalf("%v: found %d, want %d", asked, found, want.found)
		}
		for i, h := range hits {
			if h != want.hits[i] {
				t.Fatalf("%v: hit %d is %v, want %v", asked, i, h, want.hits[i])
			}
		}
	}
}

type answer struct {
	hits  []Hit
	found int
}

func order10(asked []string, segments ...[]map[string]int) (a answer) {
	for s, counts := range segments {
		for d, count := range counts {
			score := 0
			for _, w := range asked {
				score += count[w]
			}
			if score == 0 {
				continue
			}
			a.found++
			h := Hit{s, d, float64(score)}
			at := 0
			for at < len(a.hits) && !better(h, a.hits[at]) {
				at++
			}
			a.hits = append(a.hits[:at], append([]Hit{h}, a.hits[at:]...)...)
		}
	}
	a.hits = a.hits[:min(10, len(a.hits))]
	return a
}

func TestBM25(t *testing.T) {
	var s BM25
	if s.Score(1, 10, 10, 2, 100) <= s.Score(1, 10, 10, 50, 100) {
		t.Error("a rare word is worth no more than a frequent one")
	}
	if s.Score(2, 10, 10, 5, 100) <= s.Score(1, 10, 10, 5, 100) {
		t.Error("two occurrences are worth no more than one")
	}
	if s.Score(1, 5, 10, 5, 100) <= s.Score(1, 50, 10, 5, 100) {
		t.Error("a word in a short text is worth no more than in a long one")
	}
}

func TestNothing(t *testing.T) {
	s, _ := build(rand.New(rand.NewPCG(1, 1)), 5)
	for _, q := range []string{"", "...", "nowhere"} {
		if hits, found := Search([]*Segment{s}, []byte(q), BM25{}, 10); len(hits) != 0 || found != 0 {
			t.Errorf("%q: %v", q, hits)
		}
	}
}
