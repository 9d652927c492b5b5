package server

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"probelab.dev/go-samples/eventstore/internal/ingest"
)

// codes counts replies by the class of their status.
type codes struct{ ok, client, server atomic.Int64 }

func (c *codes) count(status int) {
	switch {
	case status < 400:
		c.ok.Add(1)
	case status < 500:
		c.client.Add(1)
	default:
		c.server.Add(1)
	}
}

type metrics struct {
	ingest, query codes
	queryNanos    atomic.Int64
}

// serveMetrics writes the Prometheus text format, version 0.0.4.
func (s *Server) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	counter := func(name, help string, samples ...string) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s counter\n", name, help, name)
		for _, sample := range samples {
			fmt.Fprintf(&b, "%s%s\n", name, sample)
		}
	}
	plain := func(v int64) string { return fmt.Sprintf(" %d", v) }
	t := s.in.Totals()
	counter("eventstore_events_total", "Events stored.", plain(t.Events))
	counter("eventstore_raw_bytes_total", "Bytes of the events as they came in.", plain(t.RawBytes))
	counter("eventstore_blocks_total", "Blocks sealed.", plain(t.Blocks))
	counter("eventstore_stored_bytes_total", "Bytes of sealed blocks.", plain(t.StoredBytes))
	var shards []string
	for i := range ingest.Shards {
		shards = append(shards, fmt.Sprintf("{shard=\"%d\"} %d", i, ingest.ShardBytes(i)))
	}
	counter("eventstore_shard_bytes_total", "Bytes of the events as they came in, by shard.", shards...)
	var replies []string
	for _, r := range []struct {
		path string
		c    *codes
	}{{"ingest", &s.metrics.ingest}, {"query", &s.metrics.query}} {
		for i, n := range []*atomic.Int64{&r.c.ok, &r.c.client, &r.c.server} {
			class := []string{"2xx", "4xx", "5xx"}[i]
			replies = append(replies, fmt.Sprintf("{path=\"/%s\",code=\"%s\"} %d", r.path, class, n.Load()))
		}
	}
	counter("eventstore_replies_total", "Replies by path and class of status.", replies...)
	counter("eventstore_query_seconds_total", "Time spent answering queries.",
		fmt.Sprintf(" %g", time.Duration(s.metrics.queryNanos.Load()).Seconds()))
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	_, _ = w.Write([]byte(b.String())) // a scraper that has gone needs no answer
}
