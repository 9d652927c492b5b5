package service

import (
	"net/http"
	"net/http/pprof"
	"runtime"
	"strconv"
)

// profiles registers Go's own profiles.
func profiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
}

// profile is net/http/pprof's with one parameter more: hz, the samples for each
// second of CPU time, to find out what one costs. The rate that is set first
// stays (runtime.SetCPUProfileRate), so pprof's own request for 100 is refused.
func profile(w http.ResponseWriter, r *http.Request) {
	if hz, err := strconv.Atoi(r.URL.Query().Get("hz")); err == nil && hz > 0 && hz != 100 {
		runtime.SetCPUProfileRate(hz)
	}
	pprof.Profile(w, r)
}
