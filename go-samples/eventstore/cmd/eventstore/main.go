// Command eventstore keeps events in compressed columnar blocks and answers
// simple questions about them.
//
//	eventstore serve  --addr 127.0.0.1:8080 --data DIR
//	eventstore replay --data DIR < events.ndjson
//	eventstore compact --data DIR
//
// Exit codes: 0 done, 1 failed, 2 wrong use.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"probelab.dev/go-samples/eventstore/internal/event"
	"probelab.dev/go-samples/eventstore/internal/ingest"
	"probelab.dev/go-samples/eventstore/internal/store"
)

const usage = `usage:
  eventstore serve  --data DIR [--addr 127.0.0.1:8080] [--block-events N] [--compact-every D] [--decoder NAME] [--expose]
  eventstore replay --data DIR [--block-events N] [--ack] < events.ndjson
  eventstore compact --data DIR [--block-events N]
`

// errUsage marks mistakes of the command line, which exit with 2.
var errUsage = errors.New("wrong use")

func main() {
	err := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "eventstore: %v\n", err)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "eventstore: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: name a command\n%s", errUsage, usage)
	}
	switch args[0] {
	case "serve":
		return serve(args[1:], stdout, stderr)
	case "replay":
		return replay(args[1:], stdin, stdout)
	case "compact":
		return compactFile(args[1:], stdout)
	case "help", "-h", "--help":
		_, err := io.WriteString(stdout, usage)
		return err
	}
	return fmt.Errorf("%w: there is no command %q\n%s", errUsage, args[0], usage)
}

// common holds the flags that all commands have.
type common struct {
	fs          *flag.FlagSet
	data        string
	blockEvents int
	store       *store.Store // while with runs
}

func newCommon(name string) *common {
	c := &common{fs: flag.NewFlagSet("eventstore "+name, flag.ContinueOnError)}
	c.fs.SetOutput(io.Discard) // mistakes are reported once, by main
	c.fs.StringVar(&c.data, "data", "", "`directory` of the database; made if missing")
	c.fs.IntVar(&c.blockEvents, "block-events", ingest.DefaultBlockEvents,
		fmt.Sprintf("seal a shard's block at `N` events, 1 to %d", ingest.MaxBlockEvents))
	return c
}

func (c *common) parse(args []string, stdout io.Writer) error {
	if err := c.fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		c.fs.SetOutput(stdout)
		c.fs.Usage()
		return err
	} else if err != nil {
		return fmt.Errorf("%w: %w; %s --help lists the options", errUsage, err, c.fs.Name())
	}
	if c.fs.NArg() > 0 {
		return fmt.Errorf("%w: %q is not a flag; every option starts with --", errUsage, c.fs.Arg(0))
	}
	if c.data == "" {
		return fmt.Errorf("%w: --data is missing; name the directory of the database", errUsage)
	}
	if c.blockEvents < 1 || c.blockEvents > ingest.MaxBlockEvents {
		return fmt.Errorf("%w: --block-events is %d; it must be 1 to %d", errUsage, c.blockEvents, ingest.MaxBlockEvents)
	}
	return nil
}

// with opens the store and an ingester, calls fn, and closes both in order.
func (c *common) with(d ingest.Durability, fn func(*ingest.Ingester) error) (totals ingest.Totals, err error) {
	st, err := store.Open(c.data)
	if err != nil {
		return totals, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	c.store = st
	in, err := ingest.Open(st, c.blockEvents, d, event.NewStored())
	if err != nil {
		return totals, err
	}
	err = fn(in)
	err = errors.Join(err, in.Close())
	return in.Totals(), err
}
