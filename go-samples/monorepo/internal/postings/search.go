package postings

import (
	"math"

	"probelab.dev/go-samples/monorepo/internal/order"
	"probelab.dev/go-samples/monorepo/internal/words"
)

// Scorer says how well a word in a document answers a question.
type Scorer interface {
	// Score is for a word that is count times in a document of so many words,
	// and in found of docs documents.
	Score(count, length int, meanLength float64, found, docs int) float64
}

// BM25 is Okapi's formula with the usual constants.
type BM25 struct{}

// Score implements Scorer.
func (BM25) Score(count, length int, meanLength float64, found, docs int) float64 {
	const k, b = 1.2, 0.75
	rarity := math.Log(1 + (float64(docs-found)+0.5)/(float64(found)+0.5))
	n := float64(count)
	return rarity * n * (k + 1) / (n + k*(1-b+b*float64(length)/meanLength))
}

// Frequency counts occurrences.
type Frequency struct{}

// Score implements Scorer.
func (Frequency) Score(count, _ int, _ float64, _, _ int) float64 { return float64(count) }

// Hit is a document that was found, in one of the segments.
type Hit struct {
	Segment, Doc int
	Score        float64
}

// better orders hits: the higher score, then the older document.
func better(a, b Hit) bool {
	switch {
	case a.Score != b.Score:
		return a.Score > b.Score
	case a.Segment != b.Segment:
		return a.Segment < b.Segment
	}
	return a.Doc < b.Doc
}

// Search returns the best hits, best first, and how many documents have at
// least one of the question's words.
func Search(segments []*Segment, question []byte, scorer Scorer, most int) (hits []Hit, found int) {
	var asked [][]byte
	var s words.Splitter
	s.Stems(question, func(word []byte) { asked = append(asked, append([]byte(nil), word...)) })
	// The worst of the best is on top, to be replaced.
	best := order.NewQueue(func(a, b Hit) bool { return better(b, a) })
	keep := func(h Hit) {
		found++
		if best.Len() < most {
			best.Push(h)
		} else if most > 0 && better(h, best.Top()) {
			best.ReplaceTop(h)
		}
	}
	for i, segment := range segments {
		segment.search(i, asked, scorer, keep)
	}
	hits = make([]Hit, best.Len())
	for i := len(hits) - 1; i >= 0; i-- {
		hits[i] = best.Pop()
	}
	return hits, found
}

func (s *Segment) search(number int, asked [][]byte, scorer Scorer, keep func(Hit)) {
	lists := make([]*Iterator, len(asked))
	sources := make([]order.Source, len(asked))
	for i, word := range asked {
		lists[i] = s.Find(word)
		sources[i] = lists[i]
	}
	mean := float64(s.total) / float64(max(1, len(s.lengths)))
	current := Hit{Segment: number, Doc: -1}
	m := order.NewMerge(sources)
	for {
		source, doc, ok := m.Next()
		if current.Doc >= 0 && (!ok || int(doc) != current.Doc) {
			keep(current)
		}
		if !ok {
			return
		}
		if int(doc) != current.Doc {
			current.Doc, current.Score = int(doc), 0
		}
		l := lists[source]
		current.Score += scorer.Score(l.Count(), s.Length(current.Doc), mean, l.Docs(), s.Docs())
	}
}
