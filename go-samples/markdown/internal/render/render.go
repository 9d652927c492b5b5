// Package render answers POST /render: Markdown in, HTML out.
package render

import (
	"bytes"
	"net/http"
	"unicode/utf8"

	"github.com/VictoriaMetrics/metrics"
	"gitlab.com/golang-commonmark/markdown"

	"probelab.dev/go-samples/kit/service"
)

// MaxDocument is the longest document in bytes.
const MaxDocument = 1 << 20

type renderer struct{ in, out *metrics.Counter }

// Register adds the route.
func Register(r *service.Routes) (func() error, error) {
	h := renderer{r.Counter("source_bytes_total"), r.Counter("html_bytes_total")}
	r.Handle("POST /render", h.render)
	return nil, nil
}

func (h renderer) render(w http.ResponseWriter, r *http.Request) error {
	src, err := service.Body(w, r, MaxDocument)
	if err != nil {
		return err
	}
	if !utf8.Valid(src) {
		return service.Errorf(http.StatusBadRequest, "the document is not valid UTF-8")
	}
	// A parser for each request, with the options of Go's tutorial, so that our
	// figures can stand beside those published for it.
	md := markdown.New(markdown.XHTMLOutput(true), markdown.Typographer(true), markdown.Linkify(true), markdown.Tables(true))
	// Whole before the first byte is sent: a failure can still be answered as one.
	var html bytes.Buffer
	if err := md.Render(&html, src); err != nil {
		return service.Errorf(http.StatusInternalServerError, "the document could not be rendered: %v", err)
	}
	h.in.Add(len(src))
	h.out.Add(html.Len())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(html.Bytes()) // the client has gone if this fails
	return nil
}
