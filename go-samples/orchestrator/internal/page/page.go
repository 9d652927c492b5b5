package page

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/orchestrator/internal/api"
	"probelab.dev/go-samples/orchestrator/internal/backend"
	"probelab.dev/go-samples/orchestrator/internal/fanout"
	"probelab.dev/go-samples/orchestrator/internal/timelimit"
)

// maxUnderWay is how many requests are answered at a time; more are refused at
// once, before they wait for backends that have enough to do.
const maxUnderWay = 256

// Pages answers GET /product and GET /listing.
type Pages struct {
	backends map[string]*fanout.Backend
	limit    time.Duration
	room     chan struct{}
	partial  *metrics.Counter
}

// Register adds the routes. limit is the time for a request that names none.
func Register(r *service.Routes, backends map[string]*fanout.Backend, limit time.Duration) {
	p := &Pages{backends, limit, make(chan struct{}, maxUnderWay), r.Counter("partial_answers_total")}
	r.Handle("GET /product", func(w http.ResponseWriter, req *http.Request) error { return p.serve(w, req, true) })
	r.Handle("GET /listing", func(w http.ResponseWriter, req *http.Request) error { return p.serve(w, req, false) })
}

type query struct {
	ids      []int
	currency string
	reviews  int
	limit    time.Duration
}

func (p *Pages) parse(values url.Values, product bool) (query, error) {
	q := query{currency: api.Currencies[0], limit: p.limit}
	var err error
	if q.ids, err = backend.ParseIDs(values.Get("ids")); err != nil {
		return q, err
	}
	if product && len(q.ids) != 1 {
		return q, service.Errorf(http.StatusBadRequest, "ids: a product's page is of one product; /listing takes more")
	}
	if c := values.Get("currency"); c != "" {
		if q.currency = c; !slices.Contains(api.Currencies, c) {
			return q, service.Errorf(http.StatusBadRequest, "currency: %q is not one of %s", c, strings.Join(api.Currencies, ", "))
		}
	}
	if n := values.Get("reviews"); n != "" {
		if q.reviews, err = strconv.Atoi(n); err != nil || q.reviews < 0 || q.reviews > 20 {
			return q, service.Errorf(http.StatusBadRequest, "reviews: %q is not a number from 0 to 20", n)
		}
	}
	if ms := values.Get("timeout_ms"); ms != "" {
		if q.limit, err = timelimit.Parse(ms); err != nil {
			return q, service.Errorf(http.StatusBadRequest, "timeout_ms: %v", err)
		}
	}
	return q, nil
}

func (p *Pages) serve(w http.ResponseWriter, r *http.Request, product bool) error {
	q, err := p.parse(r.URL.Query(), product)
	if err != nil {
		return err
	}
	select {
	case p.room <- struct{}{}:
		defer func() { <-p.room }()
	default:
		return service.Errorf(http.StatusServiceUnavailable, "%d requests are under way already: ask again later", maxUnderWay)
	}
	ctx, cancel, err := timelimit.Incoming(r, q.limit)
	if err != nil {
		return service.Errorf(http.StatusBadRequest, "%v", err)
	}
	defer cancel()
	k, page, err := p.gather(ctx, q)
	if err != nil {
		return err
	}
	for _, id := range q.ids {
		if it, ok := k.item(id, q.reviews, product); ok {
			page.Items = append(page.Items, it)
		}
	}
	if product && len(page.Items) == 0 {
		return service.Errorf(http.StatusNotFound, "there is no product %d", q.ids[0])
	}
	if page.Partial != nil {
		p.partial.Inc()
	}
	return service.JSON(w, page)
}

// gather asks all backends at once. Without the catalogue there is no page;
// without another there is a partial one.
func (p *Pages) gather(ctx context.Context, q query) (known, Page, error) {
	if end, ok := ctx.Deadline(); ok {
		// A tenth is kept for merging and answering.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)*9/10)
		defer cancel()
	}
	ids := make([]string, len(q.ids))
	for i, id := range q.ids {
		ids[i] = strconv.Itoa(id)
	}
	ask := url.Values{"ids": {strings.Join(ids, ",")}, "currency": {q.currency}}
	var k known
	errs := make([]error, len(api.Names)) // in that order
	var wg sync.WaitGroup
	wg.Go(func() { k.products, errs[0] = fanout.Fetch[api.Product](ctx, p.backends[api.Catalogue], ask) })
	wg.Go(func() { k.prices, errs[1] = fanout.Fetch[api.Price](ctx, p.backends[api.Prices], ask) })
	wg.Go(func() { k.stock, errs[2] = fanout.Fetch[api.Availability](ctx, p.backends[api.Stock], ask) })
	wg.Go(func() { k.reviews, errs[3] = fanout.Fetch[api.Opinions](ctx, p.backends[api.Reviews], ask) })
	wg.Wait()
	if errors.Is(errs[0], fanout.ErrLate) {
		return k, Page{}, service.Errorf(http.StatusGatewayTimeout, "%v", errs[0])
	} else if errs[0] != nil {
		return k, Page{}, service.Errorf(http.StatusBadGateway, "%v", errs[0])
	}
	page := Page{Items: []Item{}}
	for i, err := range errs {
		if err != nil {
			page.Partial = append(page.Partial, api.Names[i])
		}
	}
	return k, page, nil
}
