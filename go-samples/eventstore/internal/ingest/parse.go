package ingest

import (
	"bytes"
	"fmt"

	"probelab.dev/go-samples/eventstore/internal/event"
)

// ParseBody reads a JSON array of events, or one event a line. Raw fields of
// the records point into body.
func ParseBody(dec event.Decoder, body []byte) ([]Record, error) {
	start := skipSpace(body, 0)
	if start < len(body) && body[start] == '[' {
		return parseArray(dec, body, start+1)
	}
	return parseLines(dec, body)
}

func parseLines(dec event.Decoder, body []byte) ([]Record, error) {
	records := make([]Record, 0, bytes.Count(body, []byte{'\n'})+1)
	for line := 1; len(body) > 0; line++ {
		raw, rest, _ := bytes.Cut(body, []byte{'\n'})
		body = rest
		if skipSpace(raw, 0) == len(raw) {
			continue
		}
		rec, err := ParseLine(dec, raw)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		records = append(records, rec)
	}
	return records, nil
}

// ParseLine reads the one event that a line holds.
func ParseLine(dec event.Decoder, raw []byte) (Record, error) {
	rec := Record{Raw: raw}
	n, err := dec.Decode(raw, &rec.Event)
	if err == nil && skipSpace(raw, n) != len(raw) {
		err = &event.SyntaxError{Offset: n, Msg: "something follows the event; put one event on a line"}
	}
	return rec, err
}

func parseArray(dec event.Decoder, body []byte, pos int) ([]Record, error) {
	var records []Record
	for {
		pos = skipSpace(body, pos)
		if len(records) == 0 && pos < len(body) && body[pos] == ']' {
			break
		}
		var rec Record
		n, err := dec.Decode(body[pos:], &rec.Event)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", len(records)+1, err)
		}
		rec.Raw = body[pos : pos+n]
		records = append(records, rec)
		pos = skipSpace(body, pos+n)
		if pos < len(body) && body[pos] == ',' {
			pos++
			continue
		}
		if pos < len(body) && body[pos] == ']' {
			break
		}
		return nil, fmt.Errorf("byte %d: expected , or ] after event %d", pos, len(records))
	}
	if end := skipSpace(body, pos+1); end != len(body) {
		return nil, fmt.Errorf("byte %d: something follows the array; send one array a request", end)
	}
	return records, nil
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}
