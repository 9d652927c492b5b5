package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"probelab.dev/go-samples/eventstore/internal/event"
	"probelab.dev/go-samples/eventstore/internal/ingest"
	"probelab.dev/go-samples/eventstore/internal/server"
)

// drainTime is how long requests under way may take after a stop signal.
const drainTime = 10 * time.Second

func serve(args []string, stdout, stderr io.Writer) error {
	c := newCommon("serve")
	addr := c.fs.String("addr", "127.0.0.1:8080", "`host:port` to listen on; port 0 picks a free one")
	expose := c.fs.Bool("expose", false, "allow an address that other machines can reach (there is no authentication)")
	every := c.fs.Duration("compact-every", 0, "merge small blocks each time this `long` has passed, such as 1m; 0 is never")
	decoder := c.fs.String("decoder", "json", "`NAME` of what reads JSON: json, per-token or per-event (README.md, A pair)")
	if err := c.parse(args, stdout); err != nil {
		return err
	}
	handler, err := handlerFor(*decoder)
	if err != nil {
		return err
	}
	if *every < 0 {
		return fmt.Errorf("%w: --compact-every is %v; it must be 0 or more", errUsage, *every)
	}
	if err := checkAddr(*addr, *expose); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	totals, err := c.with(ingest.Always, func(in *ingest.Ingester) error {
		stopCompacting := c.compactEvery(*every, stderr)
		defer stopCompacting()
		return listen(ctx, *addr, handler(in), stdout)
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stderr, "stopped: %d events stored, %d blocks sealed\n", totals.Events, totals.Blocks)
	return err
}

// handlerFor returns what makes the service with a decoder of JSON.
func handlerFor(decoder string) (func(*ingest.Ingester) http.Handler, error) {
	with := func(newDecoder func() event.Decoder) func(*ingest.Ingester) http.Handler {
		return func(in *ingest.Ingester) http.Handler { return server.NewWith(in, newDecoder) }
	}
	switch decoder {
	case "json":
		return server.New, nil
	case "per-token":
		return with(event.NewPerToken), nil
	case "per-event":
		return with(event.NewPerEvent), nil
	}
	return nil, fmt.Errorf("%w: --decoder is %q; it must be json, per-token or per-event", errUsage, decoder)
}

// checkAddr refuses to listen beyond this machine unless told to.
func checkAddr(addr string, expose bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("--addr is %q; it must be host:port, such as 127.0.0.1:8080", addr)
	}
	ip := net.ParseIP(host)
	if expose || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--addr %s can be reached from other machines and the store has no authentication; "+
		"use 127.0.0.1, or add --expose if you mean it", addr)
}

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
		// A profile or a stuck client: what was acknowledged is safe, so cut it off.
		return srv.Close()
	}
	return nil
}
