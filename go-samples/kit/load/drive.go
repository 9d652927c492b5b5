package load

import (
	"bytes"
	"context"
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
}

// Result is what a run did. Bytes are of request bodies, Received of replies.
type Result struct {
	Mix      Mix     `json:"mix"`
	Seed     uint64  `json:"seed"`
	Requests int64   `json:"requests"`
	Errors   int64   `json:"errors"`
	Bytes    int64   `json:"bytes"`
	Received int64   `json:"received"`
	Seconds  float64 `json:"seconds"`
	Error    string  `json:"first_error,omitempty"`
}

// maxKept is how many bytes of requests are kept for later laps, so that the
// driver leaves the machine to the service.
const maxKept = 256 << 20

type driver struct {
	Plan
	laps                              []atomic.Pointer[Request]
	kept                              atomic.Int64
	client                            *http.Client
	next                              atomic.Int64
	requests, errors, bytes, received atomic.Int64
	once                              sync.Once
	first                             string
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
		// No proxy: the service is on this machine.
		Transport: &http.Transport{MaxIdleConnsPerHost: p.Workers, DialContext: (&net.Dialer{}).DialContext},
	}}
	defer d.client.CloseIdleConnections()
	if p.Duration > 0 {
		d.laps = make([]atomic.Pointer[Request], p.Stream.Length)
	}
	var wg sync.WaitGroup
	for range p.Workers {
		wg.Go(func() { d.work(ctx) })
	}
	wg.Wait()
	return Result{p.Stream.Mix, p.Stream.Seed, d.requests.Load(), d.errors.Load(), d.bytes.Load(),
		d.received.Load(), time.Since(start).Seconds(), d.first}
}

func (d *driver) work(ctx context.Context) {
	for ctx.Err() == nil {
		k := int(d.next.Add(1) - 1)
		if k >= d.Stream.Length && d.Duration == 0 {
			return
		}
		req := d.request(k)
		d.requests.Add(1)
		d.bytes.Add(int64(len(req.Body)))
		// A request is never cut off half way: what is counted is whole.
		n, err := d.send(req)
		d.received.Add(n)
		if err != nil {
			d.errors.Add(1)
			d.once.Do(func() { d.first = fmt.Sprintf("request %d: %v", k, err) })
		}
	}
}

// request makes request k, or takes it from an earlier lap.
func (d *driver) request(k int) *Request {
	if d.laps == nil {
		req := d.Stream.Request(k)
		return &req
	}
	slot := &d.laps[k%d.Stream.Length]
	if req := slot.Load(); req != nil {
		return req
	}
	req := d.Stream.Request(k)
	if d.kept.Add(int64(len(req.Body)+len(req.Path))) < maxKept {
		slot.Store(&req)
	}
	return &req
}

// send returns how long the reply's body was.
func (d *driver) send(req *Request) (int64, error) {
	method := http.MethodGet
	var body io.Reader
	if req.Body != nil {
		method, body = http.MethodPost, bytes.NewReader(req.Body)
	}
	r, err := http.NewRequest(method, "http://"+d.Addr+req.Path, body)
	if err != nil {
		return 0, err
	}
	if req.Bearer != "" {
		r.Header.Set("Authorization", "Bearer "+req.Bearer)
	}
	resp, err := d.client.Do(r)
	if err != nil {
		return 0, err
	}
	reply, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // read to its end already
	n := int64(len(reply))
	if err != nil {
		return n, err
	}
	if resp.StatusCode != http.StatusOK {
		return n, fmt.Errorf("%s %s: %s: %s", method, req.Path, resp.Status, bytes.TrimSpace(reply))
	}
	if req.Check != nil {
		if err := req.Check(reply); err != nil {
			return n, fmt.Errorf("%s %s: %w", method, req.Path, err)
		}
	}
	return n, nil
}
