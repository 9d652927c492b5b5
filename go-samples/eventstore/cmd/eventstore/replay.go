package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"probelab.dev/go-samples/eventstore/internal/event"
	"probelab.dev/go-samples/eventstore/internal/ingest"
)

// summary is the line that replay prints at the end; sizes in bytes.
type summary struct {
	Events      int64                     `json:"events"`
	Blocks      int64                     `json:"blocks"`
	RawBytes    int64                     `json:"raw_bytes"`
	StoredBytes int64                     `json:"stored_bytes"`
	ByTenant    map[string]*tenantSummary `json:"by_tenant"`
}

type tenantSummary struct {
	Shard    int   `json:"shard"`
	Events   int64 `json:"events"`
	RawBytes int64 `json:"raw_bytes"`
}

// replay stores events from stdin, one a line. It stores one event before it
// looks at the next line, so that each can be watched on its own.
func replay(args []string, stdin io.Reader, stdout io.Writer) error {
	c := newCommon("replay")
	ack := c.fs.Bool("ack", false, "print each line's number once its event is handled")
	if err := c.parse(args, stdout); err != nil {
		return err
	}
	sum := summary{ByTenant: map[string]*tenantSummary{}}
	totals, err := c.with(ingest.AtSeal, func(in *ingest.Ingester) error {
		if _, err := fmt.Fprintln(stdout, "ready"); err != nil {
			return err
		}
		return replayLines(in, stdin, func(line int, r *ingest.Record) error {
			sum.add(r)
			if !*ack {
				return nil
			}
			_, err := fmt.Fprintf(stdout, "%d\n", line)
			return err
		})
	})
	if err != nil {
		return err
	}
	sum.Events, sum.Blocks, sum.RawBytes, sum.StoredBytes = totals.Events, totals.Blocks, totals.RawBytes, totals.StoredBytes
	return json.NewEncoder(stdout).Encode(sum)
}

func (s *summary) add(r *ingest.Record) {
	t := s.ByTenant[r.Event.Tenant]
	if t == nil {
		t = &tenantSummary{Shard: ingest.ShardOf(r.Event.Tenant)}
		s.ByTenant[r.Event.Tenant] = t
	}
	t.Events++
	t.RawBytes += int64(len(r.Raw))
}

func replayLines(in *ingest.Ingester, stdin io.Reader, handled func(line int, r *ingest.Record) error) error {
	dec := event.NewJSON()
	lines := bufio.NewScanner(stdin)
	lines.Buffer(nil, event.MaxLine+1)
	n := 0
	for lines.Scan() {
		n++
		if len(lines.Bytes()) == 0 {
			continue
		}
		rec, err := ingest.ParseLine(dec, lines.Bytes())
		if err != nil {
			return fmt.Errorf("line %d: %w; the lines before it are stored: mend it and replay from there", n, err)
		}
		if err := in.Ingest([]ingest.Record{rec}); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if err := handled(n, &rec); err != nil {
			return err
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("line %d is longer than %d bytes; the lines before it are stored: mend it and replay from there", n+1, event.MaxLine)
	} else if err != nil {
		return fmt.Errorf("can't read line %d: %w", n+1, err)
	}
	return nil
}
