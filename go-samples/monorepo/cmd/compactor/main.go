// Command compactor makes one compressed log of several: sorted by time, without
// what is in there twice.
//
//	compactor serve --addr 127.0.0.1:8080
package main

import (
	"bytes"
	"errors"
	"flag"
	"net/http"
	"strconv"

	"github.com/klauspost/compress/zstd"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/monorepo/internal/order"
	"probelab.dev/go-samples/monorepo/internal/record"
)

const (
	maxBody   = 8 << 20
	maxChunks = 64
)

type compactor struct{ zstd *zstd.Encoder }

func main() {
	service.Main("compactor", service.Command{Name: "serve", Summary: "answers POST /compact",
		New: func(*flag.FlagSet) service.Build { return register }})
}

func register(r *service.Routes) (func() error, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		return nil, err
	}
	c := &compactor{z}
	r.Handle("POST /compact", c.compact)
	return z.Close, nil
}

// chunk is a log in memory. It implements order.Source.
type chunk struct {
	records []record.Record
	next    int
}

func (c *chunk) Next() bool {
	c.next++
	return c.next <= len(c.records)
}

func (c *chunk) Key() uint64             { return uint64(c.current().Time) }
func (c *chunk) current() *record.Record { return &c.records[c.next-1] }

// compact takes logs as JSON, one record a line and an empty line between logs,
// and answers with zstd of one log in the format proto.
func (c *compactor) compact(w http.ResponseWriter, r *http.Request) error {
	body, err := service.Body(w, r, maxBody)
	if err != nil {
		return err
	}
	var chunks []*chunk
	for text := range bytes.SplitSeq(body, []byte("\n\n")) {
		if len(chunks) == maxChunks {
			return service.Errorf(http.StatusBadRequest, "there are more than %d logs", maxChunks)
		}
		one, err := read(text)
		if err != nil {
			return service.Errorf(http.StatusBadRequest, "log %d: %v", len(chunks)+1, err)
		}
		chunks = append(chunks, one)
	}
	log, kept, dropped, err := merge(chunks)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/zstd")
	w.Header().Set("X-Records", strconv.Itoa(kept))
	w.Header().Set("X-Dropped", strconv.Itoa(dropped))
	_, _ = w.Write(c.zstd.EncodeAll(log, nil)) // the client has gone if this fails
	return nil
}

func read(text []byte) (*chunk, error) {
	dec, err := record.NewDecoder("json", text)
	if err != nil {
		return nil, err
	}
	c := &chunk{}
	err = record.Each(dec, func(r *record.Record) error {
		if n := len(c.records); n > 0 && r.Time < c.records[n-1].Time {
			return errors.New("it is older than the one before; sort each log by time")
		}
		c.records = append(c.records, *r)
		return nil
	})
	return c, err
}

func merge(chunks []*chunk) (log []byte, kept, dropped int, err error) {
	enc, err := record.NewEncoder("proto")
	if err != nil {
		return nil, 0, 0, err
	}
	sources := make([]order.Source, len(chunks))
	for i, c := range chunks {
		sources[i] = c
	}
	log = enc.Begin(nil)
	same := map[record.Record]bool{} // of one time
	last := int64(-1)
	for m := order.NewMerge(sources); ; {
		i, _, ok := m.Next()
		if !ok {
			return log, kept, dropped, nil
		}
		r := chunks[i].current()
		if r.Time != last {
			clear(same)
			last = r.Time
		}
		if same[*r] {
			dropped++
			continue
		}
		same[*r] = true
		kept++
		log = enc.Append(log, r)
	}
}
