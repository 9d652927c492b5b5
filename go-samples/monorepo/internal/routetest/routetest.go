// Package routetest asks a service's routes in tests, without a network.
package routetest

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"probelab.dev/go-samples/kit/service"
)

// Service is a service's routes.
type Service struct {
	t      *testing.T
	routes *service.Routes
	header http.Header
}

// New makes the service.
func New(t *testing.T, build service.Build) *Service {
	t.Helper()
	s := &Service{t, service.NewRoutes("x"), http.Header{}}
	stop, err := build(s.routes)
	if err != nil {
		t.Fatal(err)
	}
	if stop != nil {
		t.Cleanup(func() {
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
	return s
}

// WithFlags makes a service that has flags of its own.
func WithFlags(t *testing.T, flags func(*flag.FlagSet) service.Build, args ...string) *Service {
	t.Helper()
	fs := flag.NewFlagSet("x", flag.ContinueOnError)
	build := flags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return New(t, build)
}

// Bearer sets the token of the requests that follow.
func (s *Service) Bearer(text string) { s.header.Set("Authorization", "Bearer "+text) }

// Ask sends a request; without a body it is a GET, with one a POST.
func (s *Service) Ask(path, body string) *httptest.ResponseRecorder {
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header = s.header.Clone()
	w := httptest.NewRecorder()
	s.routes.ServeHTTP(w, r)
	return w
}

// Want asks and compares the status and, in it, the answer; which is returned.
func (s *Service) Want(path, body string, status int, says string) string {
	s.t.Helper()
	w := s.Ask(path, body)
	if w.Code != status || !strings.Contains(w.Body.String(), says) {
		s.t.Errorf("%s %.200q: %d %.500s\nwant %d and %s", path, body, w.Code, w.Body, status, says)
	}
	return w.Body.String()
}
