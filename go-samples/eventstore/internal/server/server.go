// Package server speaks HTTP for the event store.
package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/pprof"
	"net/url"
	"runtime"
	"strconv"
	"sync"
	"time"

	"probelab.dev/go-samples/eventstore/internal/event"
	"probelab.dev/go-samples/eventstore/internal/ingest"
	"probelab.dev/go-samples/eventstore/internal/query"
)

// MaxBody is the longest request body in bytes.
const MaxBody = 8 << 20

// Server answers requests from one Ingester.
type Server struct {
	in       *ingest.Ingester
	metrics  metrics
	decoders sync.Pool
}

// New returns a handler for POST /ingest (and /ingest/proto), GET /query,
// GET /metrics and GET /debug/pprof/.
func New(in *ingest.Ingester) http.Handler {
	s := &Server{in: in}
	s.decoders.New = func() any { return event.NewJSON() }
	mux := http.NewServeMux()
	mux.HandleFunc("POST /ingest", s.ingest)
	mux.HandleFunc("GET /query", s.query)
	mux.HandleFunc("GET /metrics", s.serveMetrics)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	return s.withProto(mux)
}

// profile is net/http/pprof's with one parameter more: hz, the samples for each
// second of CPU time, to find out what one costs. The rate that is set first
// stays (runtime.SetCPUProfileRate), so pprof's own request for 100 is refused.
func profile(w http.ResponseWriter, r *http.Request) {
	if hz, err := strconv.Atoi(r.URL.Query().Get("hz")); err == nil && hz > 0 && hz != 100 {
		runtime.SetCPUProfileRate(hz)
	}
	pprof.Profile(w, r)
}

// Accepted is the reply to a successful ingest.
type Accepted struct {
	Accepted int `json:"accepted"`
}

type failure struct {
	Error string `json:"error"`
}

func (s *Server) ingest(w http.ResponseWriter, r *http.Request) {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		s.reply(w, &s.metrics.ingest, http.StatusUnsupportedMediaType,
			failure{fmt.Sprintf("Content-Encoding %q is not supported; send the events uncompressed", enc)})
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		s.fail(w, &s.metrics.ingest, err)
		return
	}
	dec := s.decoders.Get().(*event.JSON)
	records, err := ingest.ParseBody(dec, body)
	s.decoders.Put(dec)
	if err != nil {
		s.reply(w, &s.metrics.ingest, http.StatusBadRequest, failure{err.Error() + "; no event of this request was stored"})
		return
	}
	if err := s.in.Ingest(records); err != nil {
		s.fail(w, &s.metrics.ingest, err)
		return
	}
	s.reply(w, &s.metrics.ingest, http.StatusOK, Accepted{len(records)})
}

// readBody reads the whole body at once when its length is known.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limited := http.MaxBytesReader(w, r.Body, MaxBody)
	var body []byte
	var err error
	if r.ContentLength < 0 || r.ContentLength > MaxBody {
		body, err = io.ReadAll(limited)
	} else {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(limited, body)
	}
	var tooLong *http.MaxBytesError
	if err != nil && !errors.As(err, &tooLong) {
		return nil, fmt.Errorf("%w (%v); send the request again", errBody, err)
	}
	return body, err
}

var errBody = errors.New("the body could not be read to its end")

func (s *Server) query(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	values, err := url.ParseQuery(r.URL.RawQuery)
	var q query.Query
	if err == nil {
		q, err = query.Parse(values)
	}
	if err != nil {
		s.reply(w, &s.metrics.query, http.StatusBadRequest, failure{err.Error()})
		return
	}
	ans, err := query.Run(q, s.in)
	s.metrics.queryNanos.Add(int64(time.Since(start)))
	if err != nil {
		s.fail(w, &s.metrics.query, err)
		return
	}
	s.reply(w, &s.metrics.query, http.StatusOK, ans)
}

// fail picks the status for an error that is not the text of the request.
func (s *Server) fail(w http.ResponseWriter, c *codes, err error) {
	var tooLong *http.MaxBytesError
	status := http.StatusInternalServerError
	switch {
	case errors.As(err, &tooLong):
		status = http.StatusRequestEntityTooLarge
		err = fmt.Errorf("the body is longer than %d bytes; send the events in several requests", MaxBody)
	case errors.Is(err, errBody):
		status = http.StatusBadRequest
	case errors.Is(err, query.ErrTooMany):
		status = http.StatusUnprocessableEntity
	case ingest.IsBusy(err):
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	s.reply(w, c, status, failure{err.Error()})
}

func (s *Server) reply(w http.ResponseWriter, c *codes, status int, body any) {
	c.count(status)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client has gone if this fails; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(body)
}
