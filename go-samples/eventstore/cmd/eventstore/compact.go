package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"probelab.dev/go-samples/eventstore/internal/compact"
	"probelab.dev/go-samples/eventstore/internal/store"
)

// compactFile merges the small blocks of a store that nobody else uses, and
// prints what it did. SIGTERM or SIGINT: it stops after the block at hand.
func compactFile(args []string, stdout io.Writer) (err error) {
	c := newCommon("compact")
	if err := c.parse(args, stdout); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	st, err := store.Open(c.data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	stats, err := compact.Run(ctx, st, c.blockEvents)
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(stats)
}

// compactEvery merges small blocks in the background and tells when there were
// any; what it returns ends that and waits for the end.
func (c *common) compactEvery(wait time.Duration, stderr io.Writer) (stop func()) {
	if wait == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		compact.Every(ctx, c.store, c.blockEvents, wait, func(s compact.Stats, err error) {
			switch {
			case err != nil:
				fmt.Fprintf(stderr, "compaction: %v\n", err)
			case s.Merged > 0:
				fmt.Fprintf(stderr, "compaction: %d blocks became %d, %d bytes became %d\n", s.Merged, s.Written, s.BytesBefore, s.BytesAfter)
			}
		})
	})
	return func() {
		cancel()
		wg.Wait()
	}
}
