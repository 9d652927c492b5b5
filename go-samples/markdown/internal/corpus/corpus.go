// Package corpus makes seeded Markdown documents of the kinds that people
// write: no text of anybody's is in it.
package corpus

import (
	"bytes"
	"errors"
	"math/rand/v2"

	"probelab.dev/go-samples/kit/load"
)

// kind is a kind of document; build appends one of about size bytes.
type kind struct {
	name  string
	build func(w *writer, size int)
}

var kinds = []kind{
	{"readme", (*writer).readme},
	{"changelog", (*writer).changelog},
	{"reference", (*writer).reference},
	{"article", (*writer).article},
	{"thread", (*writer).thread},
	{"notes", (*writer).notes},
}

// proportions are how many of each kind are in a hundred documents, and how
// many bytes they have, at least and at most.
type proportions struct {
	shares   [6]int // in the order of kinds
	min, max int
	words    []string
}

var mixes = map[load.Mix]proportions{
	// What a forge renders: files of repositories, mostly.
	load.Train: {[6]int{30, 20, 18, 12, 14, 6}, 1500, 14_000, load.Vocabulary(0x7261696e, 800)},
	// What a publisher renders: longer texts and their discussion, in other words.
	load.Test: {[6]int{12, 6, 14, 30, 22, 16}, 2500, 22_000, load.Vocabulary(0x74657374, 800)},
}

// Request makes request k of a mix: one document.
func Request(m load.Mix, r *rand.Rand, _ int) load.Request {
	p := mixes[m]
	doc := document(pick(r, p.shares), r, p)
	return load.Request{Path: "/render", Body: doc, Check: check}
}

func document(k kind, r *rand.Rand, p proportions) []byte {
	w := &writer{r: r, words: p.words}
	k.build(w, p.min+r.IntN(p.max-p.min))
	return w.b
}

func pick(r *rand.Rand, shares [6]int) kind {
	n := r.IntN(100)
	for i, share := range shares {
		if n -= share; n < 0 {
			return kinds[i]
		}
	}
	return kinds[0]
}

// check holds of every document here: each starts with a heading or a paragraph.
func check(reply []byte) error {
	if !bytes.HasPrefix(reply, []byte("<h")) && !bytes.HasPrefix(reply, []byte("<p>")) {
		return errors.New("the reply is not the HTML of a document")
	}
	return nil
}
