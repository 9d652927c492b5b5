// Package timelimit carries what is left of a request's time from one process
// to the next. A duration and not a time of day: clocks differ.
package timelimit

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Header says how many milliseconds the caller will still wait.
const Header = "X-Timeout-Ms"

// Longest is the longest time that a request may ask for.
const Longest = 10 * time.Second

// Parse reads a number of milliseconds.
func Parse(text string) (time.Duration, error) {
	ms, err := strconv.Atoi(text)
	if err != nil || ms < 1 || ms > int(Longest/time.Millisecond) {
		return 0, fmt.Errorf("%q is not a time limit: it must be 1 to %d milliseconds", text, Longest/time.Millisecond)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// Incoming returns the request's context, ending when the caller stops waiting.
func Incoming(r *http.Request, otherwise time.Duration) (context.Context, context.CancelFunc, error) {
	left := otherwise
	if text := r.Header.Get(Header); text != "" {
		var err error
		if left, err = Parse(text); err != nil {
			return nil, nil, fmt.Errorf("header %s: %w", Header, err)
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), left)
	return ctx, cancel, nil
}

// Outgoing tells the callee how much of the context's time is left.
func Outgoing(r *http.Request) {
	if end, ok := r.Context().Deadline(); ok {
		// Rounded up, since 0 is not a limit; the caller hangs up on time anyway.
		r.Header.Set(Header, strconv.FormatInt(int64(time.Until(end)/time.Millisecond)+1, 10))
	}
}
