// Command indexer finds documents by their words.
//
//	indexer serve --addr 127.0.0.1:8080
package main

import (
	"bytes"
	"cmp"
	"flag"
	"net/http"
	"strconv"
	"sync"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/monorepo/internal/jsontext"
	"probelab.dev/go-samples/monorepo/internal/postings"
)

const maxBody = 4 << 20

// batch is what one request brought.
type batch struct {
	segment *postings.Segment
	titles  []string
}

type indexer struct {
	keep    int
	mu      sync.RWMutex
	batches []batch // the last ones, oldest first; never written in place
}

func main() {
	service.Main("indexer", service.Command{Name: "serve", Summary: "answers POST /index and GET /search", New: flags})
}

func flags(fs *flag.FlagSet) service.Build {
	keep := fs.Int("keep", 24, "how many `batches` are kept; older ones are forgotten")
	return func(r *service.Routes) (func() error, error) {
		x := &indexer{keep: max(1, *keep)}
		r.Handle("POST /index", x.index)
		r.Handle("GET /search", x.search)
		return nil, nil
	}
}

// document is the Visitor of {"title":…,"text":…}; other fields are indexed too,
// as if they were text.
type document struct {
	title, text []byte
	key         []byte
}

func (d *document) reset()          { d.title, d.text = d.title[:0], d.text[:0] }
func (d *document) Open(byte)       {}
func (d *document) Close(byte)      {}
func (d *document) Key(name []byte) { d.key = append(d.key[:0], name...) }
func (d *document) Number(t []byte) { d.String(t) }
func (d *document) Literal([]byte)  {}
func (d *document) String(text []byte) {
	if string(d.key) == "title" {
		d.title = append(d.title[:0], text...)
	}
	d.text = append(append(d.text, text...), ' ')
}

// index takes documents, one JSON object a line: one batch.
func (x *indexer) index(w http.ResponseWriter, r *http.Request) error {
	body, err := service.Body(w, r, maxBody)
	if err != nil {
		return err
	}
	var doc document
	var walker jsontext.Walker
	b, titles := postings.NewBuilder(), []string{}
	for body = bytes.TrimSpace(body); len(body) > 0; body = bytes.TrimSpace(body) {
		doc.reset()
		n, err := walker.Walk(body, &doc)
		if err != nil {
			return service.Errorf(http.StatusBadRequest, "document %d: %v; none of this request is indexed", len(titles)+1, err)
		}
		body = body[n:]
		b.Add(doc.text)
		titles = append(titles, string(doc.title))
	}
	made := batch{b.Done(), titles}
	x.mu.Lock()
	defer x.mu.Unlock()
	from := max(0, len(x.batches)+1-x.keep)
	x.batches = append(append(make([]batch, 0, x.keep), x.batches[from:]...), made)
	return service.JSON(w, map[string]int{"documents": len(titles), "words": made.segment.Words()})
}

type hit struct {
	Title string  `json:"title"`
	Score float64 `json:"score"`
}

// search answers q=WORDS, best first, at most n; by=bm25 or by=frequency.
func (x *indexer) search(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	most, err := strconv.Atoi(cmp.Or(q.Get("n"), "10"))
	if err != nil || most < 1 || most > 100 {
		return service.Errorf(http.StatusBadRequest, "n: %q is not a number from 1 to 100", q.Get("n"))
	}
	scorer, ok := map[string]postings.Scorer{"": postings.BM25{}, "bm25": postings.BM25{}, "frequency": postings.Frequency{}}[q.Get("by")]
	if !ok {
		return service.Errorf(http.StatusBadRequest, "by: %q is not bm25 or frequency", q.Get("by"))
	}
	if len(q.Get("q")) > 1000 {
		return service.Errorf(http.StatusBadRequest, "q: a question has at most 1000 bytes")
	}
	x.mu.RLock()
	batches := x.batches
	x.mu.RUnlock()
	segments := make([]*postings.Segment, len(batches))
	for i, b := range batches {
		segments[i] = b.segment
	}
	found, total := postings.Search(segments, []byte(q.Get("q")), scorer, most)
	hits := make([]hit, len(found))
	for i, h := range found {
		hits[i] = hit{batches[h.Segment].titles[h.Doc], h.Score}
	}
	return service.JSON(w, map[string]any{"hits": hits, "found": total})
}
