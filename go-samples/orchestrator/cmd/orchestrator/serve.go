package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/orchestrator/internal/api"
	"probelab.dev/go-samples/orchestrator/internal/children"
	"probelab.dev/go-samples/orchestrator/internal/fanout"
	"probelab.dev/go-samples/orchestrator/internal/page"
	"probelab.dev/go-samples/orchestrator/internal/timelimit"
)

func orchestrate(fs *flag.FlagSet) service.Build {
	urls := fs.String("backends", "", "`URLS` of "+strings.Join(api.Names, ", ")+
		" in that order, between commas; without it they are started, each as a process of its own")
	limit := fs.Duration("timeout", 250*time.Millisecond, "`time` for a request that names none")
	objective := fs.Float64("objective", 99.9, "`per cent` of a backend's calls that shall succeed: the rest is its error budget")
	return func(r *service.Routes) (func() error, error) {
		if *limit <= 0 || *limit > timelimit.Longest {
			return nil, fmt.Errorf("%w: --timeout is %v; it must be above 0 and at most %v", service.ErrUsage, *limit, timelimit.Longest)
		}
		if !(*objective > 0 && *objective < 100) {
			return nil, fmt.Errorf("%w: --objective is %g; it must be above 0 and below 100", service.ErrUsage, *objective)
		}
		bases, stop, err := locate(*urls)
		if err != nil {
			return nil, errors.Join(err, stop())
		}
		client := &http.Client{Transport: &http.Transport{
			// No proxy: backends are near.
			DialContext: (&net.Dialer{Timeout: time.Second}).DialContext, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute,
		}}
		backends := map[string]*fanout.Backend{}
		for i, name := range api.Names {
			backends[name] = fanout.NewBackend(name, bases[i], client, *objective, r)
		}
		page.Register(r, backends, *limit)
		return func() error {
			client.CloseIdleConnections()
			return stop()
		}, nil
	}
}

// locate returns the backends' addresses, and what stops those that it started.
func locate(urls string) (bases []string, stop func() error, err error) {
	var started []*children.Child
	stop = func() (err error) {
		for _, c := range started {
			err = errors.Join(err, c.Stop())
		}
		return err
	}
	if urls != "" {
		bases = strings.Split(urls, ",")
		if len(bases) != len(api.Names) {
			return nil, stop, fmt.Errorf("%w: --backends has %d URLS; it must have %d: %s",
				service.ErrUsage, len(bases), len(api.Names), strings.Join(api.Names, ", "))
		}
		for _, base := range bases {
			if u, err := url.Parse(base); err != nil || u.Scheme != "http" || u.Host == "" {
				return nil, stop, fmt.Errorf("%w: --backends: %q is not a URL such as http://127.0.0.1:8081", service.ErrUsage, base)
			}
		}
		return bases, stop, nil
	}
	for _, name := range api.Names {
		c, err := children.Start(name)
		if err != nil {
			return nil, stop, err
		}
		started = append(started, c)
		bases = append(bases, c.Base)
	}
	return bases, stop, nil
}
