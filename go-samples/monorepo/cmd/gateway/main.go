// Command gateway lets requests into a system: it checks who asks, how often,
// takes secrets out of the body and picks the server to hand it to.
//
//	gateway serve --addr 127.0.0.1:8080
package main

import (
	"flag"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/monorepo/internal/cache"
	"probelab.dev/go-samples/monorepo/internal/hashing"
	"probelab.dev/go-samples/monorepo/internal/jsontext"
	"probelab.dev/go-samples/monorepo/internal/token"
)

const (
	maxBody  = 256 << 10
	subjects = 4096 // that are remembered
	servers  = 8
	points   = 64 // of each server on the ring
)

var hidden = []string{"password", "card", "iban", "phone"}

type gateway struct {
	keys     token.Keys
	rate     float64
	limiters *cache.Cache[*rate.Limiter]
	ring     *hashing.Ring
	work     sync.Pool // *work
}

// work is what one request needs and the next can use again.
type work struct {
	walker   jsontext.Walker
	redactor *jsontext.Redactor
	out      []byte
}

func main() {
	service.Main("gateway", service.Command{Name: "serve", Summary: "answers POST /forward", New: flags})
}

func flags(fs *flag.FlagSet) service.Build {
	secret := fs.String("secret", "demonstration", "`text` that keys are derived from")
	perSecond := fs.Float64("rate", 100_000, "`requests` a second that each subject may make")
	return func(r *service.Routes) (func() error, error) {
		g := &gateway{
			keys: token.Derive(*secret), rate: *perSecond,
			limiters: cache.New[*rate.Limiter](subjects, cache.NewLRU()),
			ring:     hashing.NewRing(hashing.FNV{}, servers, points),
		}
		g.work.New = func() any { return &work{redactor: jsontext.NewRedactor(hidden...)} }
		r.Handle("POST /forward", g.forward)
		return nil, nil
	}
}

func (g *gateway) forward(w http.ResponseWriter, r *http.Request) error {
	text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return service.Errorf(http.StatusUnauthorized, "the header Authorization: Bearer TOKEN is missing")
	}
	claims, err := g.keys.Check(text, time.Now())
	if err != nil {
		return service.Errorf(http.StatusUnauthorized, "%v", err)
	}
	subject := []byte(claims.Subject)
	limiter := g.limiters.GetOrPut(subject, func() *rate.Limiter {
		return rate.NewLimiter(rate.Limit(g.rate), int(g.rate)+1)
	})
	if !limiter.Allow() {
		return service.Errorf(http.StatusTooManyRequests, "%s makes more than %g requests a second", claims.Subject, g.rate)
	}
	body, err := service.Body(w, r, maxBody)
	if err != nil {
		return err
	}
	x := g.work.Get().(*work)
	defer g.work.Put(x)
	x.redactor.Reset()
	if err := x.walker.WalkAll(body, x.redactor); err != nil {
		return service.Errorf(http.StatusBadRequest, "the body is not JSON: %v", err)
	}
	x.out = append(x.out[:0], `{"server":`...)
	x.out = strconv.AppendInt(x.out, int64(g.ring.Server(subject)), 10)
	x.out = append(x.out, `,"hidden":`...)
	x.out = strconv.AppendInt(x.out, int64(x.redactor.Hidden), 10)
	x.out = append(x.out, `,"body":`...)
	x.out = append(x.out, x.redactor.Out...)
	x.out = append(x.out, "}\n"...)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(x.out) // the client has gone if this fails
	return nil
}
