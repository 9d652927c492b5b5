// Package service is what the sample services have in common: their command
// line, how they listen and stop, how they answer mistakes, their metrics and
// their profiles.
package service

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Command is one subcommand that listens: NAME COMMAND --addr HOST:PORT.
type Command struct {
	Name, Summary string
	// New declares the command's own flags; what it returns makes the service
	// once they are parsed.
	New func(*flag.FlagSet) Build
}

// Build registers a service's routes and counters. The function it returns is
// called after the last request was answered; nil when there is nothing to do.
type Build func(*Routes) (stop func() error, err error)

// ErrUsage marks mistakes of the command line, which exit with 2.
var ErrUsage = errors.New("wrong use")

// Main runs a program that has these commands and exits: 0 done, 1 failed,
// 2 wrong use. SIGTERM and SIGINT stop a service.
func Main(program string, commands ...Command) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, program, commands, os.Args[1:], os.Stdout)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, ErrUsage):
		fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, program string, commands []Command, args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: name a command\n%s", ErrUsage, usage(program, commands))
	}
	switch args[0] {
	case "help", "-h", "--help":
		_, err := io.WriteString(stdout, usage(program, commands))
		return err
	}
	for _, c := range commands {
		if c.Name == args[0] {
			return c.serve(ctx, program, args[1:], stdout)
		}
	}
	return fmt.Errorf("%w: there is no command %q\n%s", ErrUsage, args[0], usage(program, commands))
}

func usage(program string, commands []Command) string {
	var b strings.Builder
	b.WriteString("usage:\n")
	for _, c := range commands {
		fmt.Fprintf(&b, "  %s %s [--addr 127.0.0.1:8080] [--expose]  %s\n", program, c.Name, c.Summary)
	}
	fmt.Fprintf(&b, "%s COMMAND --help lists all options of one\n", program)
	return b.String()
}

func (c *Command) serve(ctx context.Context, program string, args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet(program+" "+c.Name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // mistakes are reported once, by Main
	addr := fs.String("addr", "127.0.0.1:8080", "`host:port` to listen on; port 0 picks a free one")
	expose := fs.Bool("expose", false, "allow an address that other machines can reach (there is no authentication)")
	build := c.New(fs)
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		fs.SetOutput(stdout)
		fs.Usage()
		return err
	} else if err != nil {
		return fmt.Errorf("%w: %w; %s --help lists the options", ErrUsage, err, fs.Name())
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("%w: %q is not a flag; every option starts with --", ErrUsage, fs.Arg(0))
	}
	if err := checkAddr(*addr, *expose); err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	routes := NewRoutes(program)
	stop, err := build(routes)
	if err != nil {
		return err
	}
	err = listen(ctx, *addr, routes, stdout)
	if stop != nil {
		err = errors.Join(err, stop())
	}
	return err
}
