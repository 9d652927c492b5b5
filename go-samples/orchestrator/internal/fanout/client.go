// Package fanout asks backends, each call within what is left of a request's
// time, and counts how they do.
package fanout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/orchestrator/internal/api"
	"probelab.dev/go-samples/orchestrator/internal/errorbudget"
	"probelab.dev/go-samples/orchestrator/internal/timelimit"
)

// maxReply bounds what one backend can make us hold.
const maxReply = 4 << 20

// Backend is one service to ask.
type Backend struct {
	Name                     string
	base                     string
	client                   *http.Client
	ok, late, failed, hungUp *metrics.Counter
	seconds                  *metrics.PrometheusHistogram
	budget                   *errorbudget.Window
}

// NewBackend makes a backend at base, such as http://127.0.0.1:8081, with an
// objective in per cent of its calls.
func NewBackend(name, base string, client *http.Client, objective float64, r *service.Routes) *Backend {
	calls := func(outcome string) *metrics.Counter {
		return r.Counter(fmt.Sprintf(`backend_calls_total{backend=%q,outcome=%q}`, name, outcome))
	}
	b := &Backend{name, base, client, calls("ok"), calls("late"), calls("failed"), calls("hung_up"),
		r.Metrics.NewPrometheusHistogram(fmt.Sprintf(`%s_backend_seconds{backend=%q}`, r.Prefix, name)),
		errorbudget.New(objective, time.Now)}
	r.Metrics.NewGauge(fmt.Sprintf(`%s_error_budget_left{backend=%q}`, r.Prefix, name), b.budget.Left)
	return b
}

// ErrLate says that a backend did not answer in time.
var ErrLate = errors.New("it did not answer in time")

// Fetch asks for items and returns them by their product.
func Fetch[T api.Identified](ctx context.Context, b *Backend, query url.Values) (map[int]T, error) {
	start := time.Now()
	var items []T
	err := b.get(ctx, "/items?"+query.Encode(), &items)
	b.seconds.UpdateDuration(start)
	if err = b.judge(ctx, err); err != nil {
		return nil, err
	}
	byID := make(map[int]T, len(items))
	for _, item := range items {
		byID[item.ProductID()] = item
	}
	return byID, nil
}

func (b *Backend) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.base+path, nil)
	if err != nil {
		return err
	}
	timelimit.Outgoing(req)
	resp, err := b.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end, or not wanted
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err != nil {
		return err
	}
	switch {
	case len(body) > maxReply:
		return fmt.Errorf("its answer is longer than %d bytes", maxReply)
	case resp.StatusCode == http.StatusGatewayTimeout:
		return context.DeadlineExceeded
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("it answered %s: %.200s", resp.Status, body)
	}
	return json.Unmarshal(body, into)
}

// judge counts a call and says what went wrong. A caller that hung up is
// nobody's fault and costs no budget.
func (b *Backend) judge(ctx context.Context, err error) error {
	switch {
	case err == nil:
		b.ok.Inc()
		b.budget.Count(true)
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		b.hungUp.Inc()
		return fmt.Errorf("%s: the caller has gone", b.Name)
	case errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
		b.late.Inc()
		b.budget.Count(false)
		return fmt.Errorf("%s: %w", b.Name, ErrLate)
	default:
		b.failed.Inc()
		b.budget.Count(false)
		return fmt.Errorf("%s: %w", b.Name, err)
	}
}
