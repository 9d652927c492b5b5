package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Plan is one run of the driver.
type Plan struct {
	Addr    string // host:port
	Stream  Stream
	Workers int
	// Duration, when not zero, repeats the stream for that long.
	Duration time.Duration
	// Proto sends events in the format of event.proto.
	Proto bool
}

// Result is what a run did. Bytes are of request bodies, Events those that the
// store acknowledged.
type Result struct {
	Mix      string  `json:"mix"`
	Seed     uint64  `json:"seed"`
	Requests int64   `json:"requests"`
	Queries  int64   `json:"queries"`
	Events   int64   `json:"events"`
	Errors   int64   `json:"errors"`
	Bytes    int64   `json:"bytes"`
	Seconds  float64 `json:"seconds"`
	Error    string  `json:"first_error,omitempty"`
}

type driver struct {
	Plan
	client                                   *http.Client
	next                                     atomic.Int64
	requests, queries, events, errors, bytes atomic.Int64
	once                                     sync.Once
	first                                    string
}

// Run sends the requests and waits for all replies. It stops early when ctx ends.
func Run(ctx context.Context, p Plan) Result {
	start := time.Now()
	if p.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.Duration)
		defer cancel()
	}
	d := &driver{Plan: p, client: &http.Client{
		Timeout: time.Minute,
		// No proxy: the store is on this machine.
		Transport: &http.Transport{MaxIdleConnsPerHost: p.Workers, DialContext: (&net.Dialer{}).DialContext},
	}}
	defer d.client.CloseIdleConnections()
	var wg sync.WaitGroup
	for range p.Workers {
		wg.Go(func() { d.work(ctx) })
	}
	wg.Wait()
	return Result{p.Stream.Mix.Name, p.Stream.Seed, d.requests.Load(), d.queries.Load(), d.events.Load(), d.errors.Load(),
		d.bytes.Load(), time.Since(start).Seconds(), d.first}
}

func (d *driver) work(ctx context.Context) {
	for ctx.Err() == nil {
		k := int(d.next.Add(1) - 1)
		if k >= d.Stream.Length && d.Duration == 0 {
			return
		}
		req := d.Stream.Request(k)
		if d.Proto {
			req = req.proto()
		}
		d.requests.Add(1)
		d.bytes.Add(int64(len(req.Body)))
		if req.Events == 0 {
			d.queries.Add(1)
		}
		// A request is never cut off half way: what is counted is whole.
		n, err := d.send(req)
		d.events.Add(n)
		if err != nil {
			d.errors.Add(1)
			d.once.Do(func() { d.first = fmt.Sprintf("request %d: %v", k, err) })
		}
	}
}

// send returns how many events the store says it accepted.
func (d *driver) send(req Request) (int64, error) {
	r, err := http.NewRequest(req.Method, "http://"+d.Addr+req.Path, bytes.NewReader(req.Body))
	if err != nil {
		return 0, err
	}
	resp, err := d.client.Do(r)
	if err != nil {
		return 0, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // read to its end already
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s %s: %s: %s", req.Method, req.Path, resp.Status, bytes.TrimSpace(body))
	}
	if req.Events == 0 {
		return 0, nil
	}
	var ok struct{ Accepted int64 }
	if err := json.Unmarshal(body, &ok); err != nil {
		return 0, fmt.Errorf("reply to ingest: %w", err)
	}
	if ok.Accepted != int64(req.Events) {
		return ok.Accepted, fmt.Errorf("sent %d events, the store accepted %d", req.Events, ok.Accepted)
	}
	return ok.Accepted, nil
}
