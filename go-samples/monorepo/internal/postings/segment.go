// Package postings is an inverted index: for each word the documents that it
// is in, as differences in varints.
package postings

import (
	"encoding/binary"

	"probelab.dev/go-samples/monorepo/internal/words"
)

// Segment indexes some documents, 0 to Docs()-1. It is not changed once built.
type Segment struct {
	lists   map[string]*list
	lengths []uint32 // words of each document
	total   uint64
}

// list is (document difference, occurrences) in uvarints.
type list struct {
	data  []byte
	docs  int
	last  uint32
	count uint32 // of the document that is being added
}

// Builder adds documents to a segment.
type Builder struct {
	segment  *Segment
	splitter words.Splitter
	touched  []*list
}

// NewBuilder starts a segment.
func NewBuilder() *Builder { return &Builder{segment: &Segment{lists: map[string]*list{}}} }

// Add adds a document.
func (b *Builder) Add(text []byte) {
	s := b.segment
	doc, length := uint32(len(s.lengths)), uint32(0)
	b.splitter.Stems(text, func(word []byte) {
		length++
		l := s.lists[string(word)]
		if l == nil {
			l = &list{}
			s.lists[string(word)] = l
		}
		if l.count == 0 {
			b.touched = append(b.touched, l)
		}
		l.count++
	})
	for _, l := range b.touched {
		l.data = binary.AppendUvarint(l.data, uint64(doc-l.last))
		l.data = binary.AppendUvarint(l.data, uint64(l.count))
		l.docs, l.last, l.count = l.docs+1, doc, 0
	}
	b.touched = b.touched[:0]
	s.lengths = append(s.lengths, length)
	s.total += uint64(length)
}

// Done returns the segment.
func (b *Builder) Done() *Segment { return b.segment }

// Docs is how many documents there are.
func (s *Segment) Docs() int { return len(s.lengths) }

// Words is how many different words there are.
func (s *Segment) Words() int { return len(s.lists) }

// Length is how many words a document has.
func (s *Segment) Length(doc int) int { return int(s.lengths[doc]) }

// Iterator walks the documents of one word. It implements order.Source.
type Iterator struct {
	data       []byte
	docs       int
	doc, count uint64
}

// Find returns the documents of a word, as the words package stems it.
func (s *Segment) Find(word []byte) *Iterator {
	if l := s.lists[string(word)]; l != nil {
		return &Iterator{data: l.data, docs: l.docs}
	}
	return &Iterator{}
}

// Docs is how many documents the word is in.
func (it *Iterator) Docs() int { return it.docs }

// Next implements order.Source.
func (it *Iterator) Next() bool {
	if len(it.data) == 0 {
		return false
	}
	delta, n := binary.Uvarint(it.data)
	count, m := binary.Uvarint(it.data[n:])
	it.data = it.data[n+m:]
	it.doc += delta
	it.count = count
	return true
}

// Key implements order.Source: it is the document.
func (it *Iterator) Key() uint64 { return it.doc }

// Count is how often the word is in the document.
func (it *Iterator) Count() int { return int(it.count) }
