package ingest

import (
	"fmt"

	"probelab.dev/go-samples/eventstore/internal/event"
)

// ParseBatch reads a Batch (event.proto). Raw fields of the records point into
// body.
func ParseBatch(dec *event.Proto, body []byte) ([]Record, error) {
	var records []Record
	for pos := 0; pos < len(body); {
		var rec Record
		n, err := dec.Decode(body[pos:], &rec.Event)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", len(records)+1, err)
		}
		rec.Raw = body[pos : pos+n]
		records = append(records, rec)
		pos += n
	}
	return records, nil
}
