// Command eventload drives an event store with fixed, seeded work and prints
// what it did as one JSON object.
//
//	eventload --addr 127.0.0.1:8080 --seed 1 --requests 2000 --mix train
//
// Exit codes: 0 all requests succeeded, 1 some failed, 2 wrong use.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"probelab.dev/go-samples/eventstore/internal/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	plan, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "eventload: %v\n", err)
		return 2
	}
	res := load.Run(ctx, plan)
	if err := json.NewEncoder(stdout).Encode(res); err != nil {
		fmt.Fprintf(stderr, "eventload: can't write the result: %v\n", err)
		return 1
	}
	if res.Errors > 0 {
		fmt.Fprintf(stderr, "eventload: %d of %d requests failed; the first: %s\n", res.Errors, res.Requests, res.Error)
		return 1
	}
	return 0
}

func parse(args []string, stdout io.Writer) (load.Plan, error) {
	fs := flag.NewFlagSet("eventload", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // mistakes are reported once, by run
	var p load.Plan
	fs.StringVar(&p.Addr, "addr", "127.0.0.1:8080", "`host:port` of the store; loopback only")
	fs.Uint64Var(&p.Stream.Seed, "seed", 1, "same seed, same requests")
	fs.IntVar(&p.Stream.Length, "requests", 1000, "`N` requests in the stream")
	fs.IntVar(&p.Workers, "workers", 4, "`N` requests at a time")
	mix := fs.String("mix", "train", "train or test")
	seconds := fs.Float64("seconds", 0, "repeat the stream, each time with later times, for `S` seconds instead of sending it once")
	format := fs.String("format", "json", "how events are sent: json or `proto`")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		fs.SetOutput(stdout)
		fs.Usage()
		return p, err
	} else if err != nil {
		return p, fmt.Errorf("%w; eventload --help lists the options", err)
	}
	if fs.NArg() > 0 {
		return p, fmt.Errorf("%q is not a flag; every option starts with --", fs.Arg(0))
	}
	var err error
	if p.Stream.Mix, err = load.MixNamed(*mix); err != nil {
		return p, err
	}
	if *format != "json" && *format != "proto" {
		return p, fmt.Errorf("--format is %q; it must be json or proto", *format)
	}
	p.Proto = *format == "proto"
	if p.Stream.Length < 1 {
		return p, fmt.Errorf("--requests is %d; it must be at least 1", p.Stream.Length)
	}
	if p.Workers < 1 || p.Workers > 256 {
		return p, fmt.Errorf("--workers is %d; it must be 1 to 256", p.Workers)
	}
	if !(*seconds >= 0 && *seconds <= 86400) {
		return p, fmt.Errorf("--seconds is %g; it must be 0 to 86400", *seconds)
	}
	p.Duration = time.Duration(*seconds * float64(time.Second))
	host, _, err := net.SplitHostPort(p.Addr)
	if err != nil {
		return p, fmt.Errorf("--addr is %q; it must be host:port, such as 127.0.0.1:8080", p.Addr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return p, fmt.Errorf("--addr is %s; this driver loads only a store on this machine (127.0.0.1)", p.Addr)
	}
	return p, nil
}
