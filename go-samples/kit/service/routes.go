package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// Routes is a service's handler: its own routes, GET /metrics and
// GET /debug/pprof/.
type Routes struct {
	// Metrics holds the service's counters. Their names start with Prefix.
	Metrics *metrics.Set
	Prefix  string
	mux     *http.ServeMux
}

// Handler answers a request, or returns the mistake to answer it with.
type Handler func(http.ResponseWriter, *http.Request) error

// NewRoutes returns the routes that every service has.
func NewRoutes(prefix string) *Routes {
	r := &Routes{Metrics: metrics.NewSet(), Prefix: prefix, mux: http.NewServeMux()}
	metrics.ExposeMetadata(true)
	r.mux.HandleFunc("GET /metrics", r.serveMetrics)
	profiles(r.mux)
	return r
}

// ServeHTTP implements http.Handler.
func (r *Routes) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.mux.ServeHTTP(w, req) }

// Handle registers a route, such as "POST /render", whose replies are counted
// by the class of their status and timed.
func (r *Routes) Handle(pattern string, h Handler) {
	_, path, _ := strings.Cut(pattern, " ")
	replies := func(class string) *metrics.Counter {
		return r.Counter(fmt.Sprintf(`replies_total{path=%q,code=%q}`, path, class))
	}
	ok, client, server := replies("2xx"), replies("4xx"), replies("5xx")
	seconds := r.Metrics.NewPrometheusHistogramExt(
		fmt.Sprintf(`%s_request_seconds{path=%q}`, r.Prefix, path), latencyBounds)
	r.mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) {
		start := time.Now()
		err := h(w, req)
		seconds.UpdateDuration(start)
		if err == nil {
			ok.Inc()
			return
		}
		if fail(w, err) < 500 {
			client.Inc()
		} else {
			server.Inc()
		}
	})
}

// latencyBounds are the upper bounds of the buckets of request times, in seconds.
var latencyBounds = []float64{0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3}

// Counter registers a counter by its name after the service's own, with labels
// if it has any.
func (r *Routes) Counter(name string) *metrics.Counter {
	return r.Metrics.GetOrCreateCounter(r.Prefix + "_" + name)
}

func (r *Routes) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	r.Metrics.WritePrometheus(w)
	metrics.WriteProcessMetrics(w)
}

// Error is a mistake with the status to answer it with.
type Error struct {
	Status int
	Text   string
}

func (e *Error) Error() string { return e.Text }

// Errorf returns an Error.
func Errorf(status int, format string, args ...any) error {
	return &Error{status, fmt.Sprintf(format, args...)}
}

// fail answers with a mistake and returns its status.
func fail(w http.ResponseWriter, err error) int {
	status := http.StatusInternalServerError
	var known *Error
	if errors.As(err, &known) {
		status = known.Status
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	WriteJSON(w, status, struct {
		Error string `json:"error"`
	}{err.Error()})
	return status
}

// JSON answers with v and 200.
func JSON(w http.ResponseWriter, v any) error {
	WriteJSON(w, http.StatusOK, v)
	return nil
}

// WriteJSON answers with v and a status.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client has gone if this fails; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(v)
}
