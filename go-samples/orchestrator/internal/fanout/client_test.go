package fanout

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/orchestrator/internal/api"
	"probelab.dev/go-samples/orchestrator/internal/timelimit"
)

func start(t *testing.T, h http.HandlerFunc) *Backend {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return NewBackend("stock", srv.URL, srv.Client(), 50, service.NewRoutes("x"))
}

func fetch(ctx context.Context, b *Backend) (map[int]api.Availability, error) {
	return Fetch[api.Availability](ctx, b, url.Values{"ids": {"3,4"}})
}

func TestFetch(t *testing.T) {
	b := start(t, func(w http.ResponseWriter, r *http.Request) {
		left, err := timelimit.Parse(r.Header.Get(timelimit.Header))
		if err != nil || left < 4*time.Second || left > 5*time.Second+time.Millisecond {
			t.Errorf("%v (%v) was passed on of 5 s", left, err)
		}
		fmt.Fprint(w, `[{"id":3,"warehouses":[{"code":"A","units":2,"days":1}]},{"id":4}]`)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	got, err := fetch(ctx, b)
	if err != nil || len(got) != 2 || got[3].Warehouses[0].Units != 2 {
		t.Errorf("%v %v", got, err)
	}
	if b.ok.Get() != 1 || b.budget.Left() != 1 {
		t.Errorf("ok: %d, budget: %v", b.ok.Get(), b.budget.Left())
	}
}

// Every way to fail is told apart, and costs the budget unless the caller left.
func TestFailures(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	for name, tc := range map[string]struct {
		h            http.HandlerFunc
		leave        bool
		late         bool
		says         string
		failed, hung uint64
	}{
		"no answer in time":      {h: hang, late: true, says: "did not answer in time"},
		"says itself it is late": {h: answer(504, ""), late: true, says: "did not answer in time"},
		"caller leaves":          {h: hang, leave: true, says: "the caller has gone", hung: 1},
		"error status":           {h: answer(503, "not well"), says: "503 Service Unavailable: not well", failed: 1},
		"not JSON":               {h: answer(200, "hello"), says: "invalid character", failed: 1},
		"too long":               {h: answer(200, strings.Repeat(" ", maxReply+1)), says: "longer than", failed: 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, tc.h)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if tc.leave {
				ctx, cancel = context.WithCancel(t.Context())
				time.AfterFunc(20*time.Millisecond, cancel)
			} else if !tc.late {
				ctx = t.Context()
			}
			_, err := fetch(ctx, b)
			if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.HasPrefix(err.Error(), "stock: ") {
				t.Errorf("got %v, want %q", err, tc.says)
			}
			if errors.Is(err, ErrLate) != tc.late || (b.late.Get() == 1) != tc.late || b.failed.Get() != tc.failed || b.hungUp.Get() != tc.hung {
				t.Errorf("late %d, failed %d, hung up %d", b.late.Get(), b.failed.Get(), b.hungUp.Get())
			}
			if spent := b.budget.Left() < 1; spent == tc.leave {
				t.Errorf("budget: %v", b.budget.Left())
			}
		})
	}
}
