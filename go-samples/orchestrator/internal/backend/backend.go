// Package backend is one of the four services that the orchestrator asks.
package backend

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/orchestrator/internal/api"
	"probelab.dev/go-samples/orchestrator/internal/timelimit"
)

// MaxIDs is how many products may be asked for at once.
const MaxIDs = 50

// Options say which backend it is and how badly it behaves.
type Options struct {
	Kind          string
	Delay         time.Duration
	FailPercent   int
	UntilInputEnd bool
}

// Flags declares the options.
func Flags(fs *flag.FlagSet) service.Build {
	var o Options
	fs.StringVar(&o.Kind, "kind", "", "which `backend` to be: "+strings.Join(api.Names, ", "))
	fs.DurationVar(&o.Delay, "delay", 0, "wait so `long` before each answer")
	fs.IntVar(&o.FailPercent, "fail-percent", 0, "answer 503 to so many per cent of requests, chosen by their ids")
	fs.BoolVar(&o.UntilInputEnd, "until-input-ends", false, "stop when standard input ends: the parent is gone")
	return o.register
}

func (o *Options) register(r *service.Routes) (func() error, error) {
	items, ok := map[string]func([]int, string) any{
		api.Catalogue: each(product),
		api.Prices:    each(price),
		api.Stock:     each(availability),
		api.Reviews:   each(opinions),
	}[o.Kind]
	if !ok {
		return nil, fmt.Errorf("%w: --kind is %q; it must be one of %s", service.ErrUsage, o.Kind, strings.Join(api.Names, ", "))
	}
	r.Handle("GET /items", func(w http.ResponseWriter, req *http.Request) error { return o.items(w, req, items) })
	if o.UntilInputEnd {
		go stopWithInput()
	}
	return nil, nil
}

// stopWithInput ends this process as a signal would, once its input has ended.
func stopWithInput() {
	_, _ = io.Copy(io.Discard, os.Stdin) // an error ends it too
	_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
}

func each[T any](of func(int, string) T) func([]int, string) any {
	return func(ids []int, currency string) any {
		all := make([]T, len(ids))
		for i, id := range ids {
			all[i] = of(id, currency)
		}
		return all
	}
}

func (o *Options) items(w http.ResponseWriter, r *http.Request, items func([]int, string) any) error {
	ctx, cancel, err := timelimit.Incoming(r, timelimit.Longest)
	if err != nil {
		return service.Errorf(http.StatusBadRequest, "%v", err)
	}
	defer cancel()
	q := r.URL.Query()
	ids, err := ParseIDs(q.Get("ids"))
	if err != nil {
		return err
	}
	if err := wait(ctx, o.Delay); err != nil {
		return err
	}
	if ids[0]%100 < o.FailPercent {
		return service.Errorf(http.StatusServiceUnavailable, "%s is not well", o.Kind)
	}
	known := slices.DeleteFunc(ids, func(id int) bool { return id > api.LastID })
	return service.JSON(w, items(known, q.Get("currency")))
}

// wait gives up when nobody waits for the answer any more.
func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return service.Errorf(http.StatusGatewayTimeout, "the time for this request is over")
	}
}

// ParseIDs reads the ids of 1 to MaxIDs products, between commas.
func ParseIDs(text string) ([]int, error) {
	var ids []int
	for word := range strings.SplitSeq(text, ",") {
		id, err := strconv.Atoi(word)
		if err != nil || id < 1 {
			return nil, service.Errorf(http.StatusBadRequest, "ids: %q is not a product's number; give 1 to %d of them, between commas", word, MaxIDs)
		}
		if ids = append(ids, id); len(ids) > MaxIDs {
			return nil, service.Errorf(http.StatusBadRequest, "ids: at most %d products can be asked for at once", MaxIDs)
		}
	}
	return ids, nil
}
