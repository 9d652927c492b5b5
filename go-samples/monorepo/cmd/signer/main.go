// Command signer makes tokens and checks them.
//
//	signer serve --addr 127.0.0.1:8080
package main

import (
	"cmp"
	"flag"
	"net/http"
	"strings"
	"time"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/monorepo/internal/cache"
	"probelab.dev/go-samples/monorepo/internal/token"
)

const (
	maxBody = 16 << 10
	maxLife = 30 * 24 * 3600 // seconds
	checked = 2048           // tokens whose check is remembered
)

type signer struct {
	keys  token.Keys
	now   func() time.Time
	known *cache.Cache[token.Claims]
}

func main() {
	service.Main("signer", service.Command{Name: "serve", Summary: "answers POST /sign and POST /verify", New: flags})
}

func flags(fs *flag.FlagSet) service.Build {
	secret := fs.String("secret", "demonstration", "`text` that keys are derived from")
	return func(r *service.Routes) (func() error, error) {
		s := &signer{token.Derive(*secret), time.Now, cache.New[token.Claims](checked, cache.NewLFU(1))}
		r.Handle("POST /sign", s.sign)
		r.Handle("POST /verify", s.verify)
		return nil, nil
	}
}

// request is what a token is asked for with.
type request struct {
	Subject string   `json:"sub"`
	Seconds int64    `json:"seconds"`
	Scopes  []string `json:"scopes"`
}

// sign takes key=hmac|ed25519.
func (s *signer) sign(w http.ResponseWriter, r *http.Request) error {
	var ask request
	if err := service.ReadJSON(w, r, maxBody, &ask); err != nil {
		return err
	}
	if ask.Subject == "" || len(ask.Subject) > 128 || len(ask.Scopes) > 64 {
		return service.Errorf(http.StatusBadRequest, "sub must have 1 to 128 bytes and there may be at most 64 scopes")
	}
	if ask.Seconds < 1 || ask.Seconds > maxLife {
		return service.Errorf(http.StatusBadRequest, "seconds is %d; it must be 1 to %d", ask.Seconds, maxLife)
	}
	text, err := s.keys.Make(cmp.Or(r.URL.Query().Get("key"), "ed25519"),
		token.Claims{Subject: ask.Subject, Expires: s.now().Unix() + ask.Seconds, Scopes: ask.Scopes})
	if err != nil {
		return service.Errorf(http.StatusBadRequest, "key: %v", err)
	}
	return service.JSON(w, map[string]string{"token": text})
}

// verify takes a token and answers with its claims; 401 when it is not good.
func (s *signer) verify(w http.ResponseWriter, r *http.Request) error {
	body, err := service.Body(w, r, maxBody)
	if err != nil {
		return err
	}
	if c, ok := s.known.Get(body); ok && s.now().Unix() < c.Expires {
		return service.JSON(w, c)
	}
	c, err := s.keys.Check(strings.TrimSpace(string(body)), s.now())
	if err != nil {
		return service.Errorf(http.StatusUnauthorized, "%v", err)
	}
	s.known.Put(body, c)
	return service.JSON(w, c)
}
