package server

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"sync"

	"probelab.dev/go-samples/eventstore/internal/event"
	"probelab.dev/go-samples/eventstore/internal/ingest"
)

// withProto adds POST /ingest/proto: the same as POST /ingest, of a Batch. It
// has a path of its own, and POST /ingest no wrapper, so that recorded profiles
// of that keep to the code.
func (s *Server) withProto(mux *http.ServeMux) http.Handler {
	decoders := sync.Pool{New: func() any { return event.NewProto() }}
	mux.HandleFunc("POST /ingest/proto", s.ingestBy(func(body []byte) ([]ingest.Record, error) {
		dec := decoders.Get().(*event.Proto)
		defer decoders.Put(dec)
		return ingest.ParseBatch(dec, body)
	}))
	return mux
}

// NewWith is New with another decoder of JSON behind POST /ingest.
func NewWith(in *ingest.Ingester, newDecoder func() event.Decoder) http.Handler {
	s := &Server{in: in}
	decoders := sync.Pool{New: func() any { return newDecoder() }}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /ingest", s.ingestBy(func(body []byte) ([]ingest.Record, error) {
		dec := decoders.Get().(event.Decoder)
		defer decoders.Put(dec)
		return ingest.ParseBody(dec, body)
	}))
	mux.HandleFunc("GET /query", s.query)
	mux.HandleFunc("GET /metrics", s.serveMetrics)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", profile)
	return s.withProto(mux)
}

// ingestBy answers with what parse makes of the body.
func (s *Server) ingestBy(parse func(body []byte) ([]ingest.Record, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		codes := &s.metrics.ingest
		if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
			s.reply(w, codes, http.StatusUnsupportedMediaType,
				failure{fmt.Sprintf("Content-Encoding %q is not supported; send the events uncompressed", enc)})
			return
		}
		body, err := readBody(w, r)
		if err != nil {
			s.fail(w, codes, err)
			return
		}
		records, err := parse(body)
		if err != nil {
			s.reply(w, codes, http.StatusBadRequest, failure{err.Error() + "; no event of this request was stored"})
			return
		}
		if err := s.in.Ingest(records); err != nil {
			s.fail(w, codes, err)
			return
		}
		s.reply(w, codes, http.StatusOK, Accepted{len(records)})
	}
}
