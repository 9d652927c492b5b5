package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// drainTime is how long requests under way may take after a stop signal.
const drainTime = 10 * time.Second

// checkAddr refuses to listen beyond this machine unless told to.
func checkAddr(addr string, expose bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("--addr is %q; it must be host:port, such as 127.0.0.1:8080", addr)
	}
	if expose || IsLoopback(host) {
		return nil
	}
	return fmt.Errorf("--addr %s can be reached from other machines and the service has no authentication; "+
		"use 127.0.0.1, or add --expose if you mean it", addr)
}

// IsLoopback reports whether a host is this machine, seen from itself alone.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// listen serves until ctx ends, then answers what is under way.
func listen(ctx context.Context, addr string, handler http.Handler, stdout io.Writer) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("can't listen on %s: %w; choose another --addr (port 0 picks a free one)", addr, err)
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	if _, err := fmt.Fprintf(stdout, "listening on %s\n", ln.Addr()); err != nil {
		return errors.Join(err, srv.Close())
	}
	select {
	case err := <-served:
		return fmt.Errorf("the server stopped: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := srv.Shutdown(drain); err != nil {
		return srv.Close() // a profile or a stuck client: cut it off
	}
	return nil
}
