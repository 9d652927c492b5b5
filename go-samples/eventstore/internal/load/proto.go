package load

import (
	"probelab.dev/go-samples/eventstore/internal/event"
	"probelab.dev/go-samples/eventstore/internal/ingest"
)

// proto returns the same request with its events as a Batch (event.proto).
func (r Request) proto() Request {
	if r.Events == 0 {
		return r
	}
	records, err := ingest.ParseBody(event.NewJSON(), r.Body)
	if err != nil {
		panic(err) // the body was made here
	}
	var b []byte
	for i := range records {
		b = event.AppendProto(b, &records[i].Event)
	}
	r.Path, r.Body = "/ingest/proto", b
	return r
}
