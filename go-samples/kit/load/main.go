// Package load drives a sample service with fixed, seeded work and prints what
// it did as one JSON object. Request k of a stream is the same bytes on every
// run, whoever sends it and when.
package load

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"probelab.dev/go-samples/kit/service"
)

// Mix is a kind of load. Profiles are recorded under Train and gains measured
// under Test, whose requests and proportions differ.
type Mix string

const (
	Train Mix = "train"
	Test  Mix = "test"
)

// salt separates the mixes' random streams: equal seeds share no request.
func (m Mix) salt() uint64 {
	h := uint64(14695981039346656037)
	for i := range len(m) {
		h = (h ^ uint64(m[i])) * 1099511628211
	}
	return h
}

// Request is one HTTP request. Without a Body it is a GET.
type Request struct {
	Path string
	Body []byte
	// Bearer, if there is one, is the token of the header Authorization.
	Bearer string
	// Check, if there is one, says what is wrong with the reply to it.
	Check func(reply []byte) error
}

// Maker makes request k of a mix from what r gives, and from nothing else.
type Maker func(m Mix, r *rand.Rand, k int) Request

// Stream is a sequence of requests, which repeats after Length of them.
type Stream struct {
	Mix    Mix
	Seed   uint64
	Length int
	Make   Maker
}

// Request returns request k.
func (s Stream) Request(k int) Request {
	k %= s.Length
	// PCG streams of neighbouring states are related at first; mixing k keeps
	// neighbouring requests apart.
	r := rand.New(rand.NewPCG(s.Seed^s.Mix.salt(), uint64(k)*0x9e3779b97f4a7c15+s.Mix.salt()))
	return s.Make(s.Mix, r, k)
}

// Main runs a driver and exits: 0 all requests succeeded, 1 some failed,
// 2 wrong use. extra, if not nil, declares the driver's own flags; makers are
// asked for after they are parsed.
func Main(program string, extra func(*flag.FlagSet), maker func() (Maker, error)) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := run(ctx, program, extra, maker, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, program string, extra func(*flag.FlagSet), maker func() (Maker, error),
	args []string, stdout, stderr io.Writer) int {
	plan, err := parse(program, extra, args, stdout)
	if err == nil {
		plan.Stream.Make, err = maker()
	}
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", program, err)
		return 2
	}
	res := Run(ctx, plan)
	if err := json.NewEncoder(stdout).Encode(res); err != nil {
		fmt.Fprintf(stderr, "%s: can't write the result: %v\n", program, err)
		return 1
	}
	if res.Errors > 0 {
		fmt.Fprintf(stderr, "%s: %d of %d requests failed; the first: %s\n", program, res.Errors, res.Requests, res.Error)
		return 1
	}
	return 0
}

func parse(program string, extra func(*flag.FlagSet), args []string, stdout io.Writer) (Plan, error) {
	fs := flag.NewFlagSet(program, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // mistakes are reported once, by run
	var p Plan
	fs.StringVar(&p.Addr, "addr", "127.0.0.1:8080", "`host:port` of the service; loopback only")
	fs.Uint64Var(&p.Stream.Seed, "seed", 1, "same seed, same requests")
	fs.IntVar(&p.Stream.Length, "requests", 1000, "`N` requests in the stream")
	fs.IntVar(&p.Workers, "workers", 4, "`N` requests at a time")
	fs.StringVar((*string)(&p.Stream.Mix), "mix", string(Train), "train or test")
	seconds := fs.Float64("seconds", 0, "repeat the stream for `S` seconds instead of sending it once")
	if extra != nil {
		extra(fs)
	}
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		fs.SetOutput(stdout)
		fs.Usage()
		return p, err
	} else if err != nil {
		return p, fmt.Errorf("%w; %s --help lists the options", err, program)
	}
	if fs.NArg() > 0 {
		return p, fmt.Errorf("%q is not a flag; every option starts with --", fs.Arg(0))
	}
	p.Duration = time.Duration(*seconds * float64(time.Second))
	return p, p.check(*seconds)
}

func (p *Plan) check(seconds float64) error {
	if m := p.Stream.Mix; m != Train && m != Test {
		return fmt.Errorf("--mix is %q; it must be train or test", m)
	}
	if p.Stream.Length < 1 {
		return fmt.Errorf("--requests is %d; it must be at least 1", p.Stream.Length)
	}
	if p.Workers < 1 || p.Workers > 256 {
		return fmt.Errorf("--workers is %d; it must be 1 to 256", p.Workers)
	}
	if !(seconds >= 0 && seconds <= 86400) {
		return fmt.Errorf("--seconds is %g; it must be 0 to 86400", seconds)
	}
	host, _, err := net.SplitHostPort(p.Addr)
	if err != nil {
		return fmt.Errorf("--addr is %q; it must be host:port, such as 127.0.0.1:8080", p.Addr)
	}
	if !service.IsLoopback(host) {
		return fmt.Errorf("--addr is %s; this driver loads only a service on this machine (127.0.0.1)", p.Addr)
	}
	return nil
}
