// Package errorbudget counts how much of its error budget a backend has left:
// an objective of 99 % allows one bad call in a hundred.
package errorbudget

import (
	"sync"
	"time"
)

const (
	slot  = 10 * time.Second
	slots = 30 // five minutes
)

// Window counts the calls of the last five minutes.
type Window struct {
	allowed float64 // share of calls that may be bad
	now     func() time.Time
	mu      sync.Mutex
	counts  [slots]struct {
		at         int64 // number of the slot since 1970
		total, bad int64
	}
}

// New makes a window for an objective in per cent, below 100.
func New(objective float64, now func() time.Time) *Window {
	return &Window{allowed: 1 - objective/100, now: now}
}

// Count counts one call.
func (w *Window) Count(good bool) {
	at := w.now().UnixNano() / int64(slot)
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &w.counts[at%slots]
	if c.at != at {
		c.at, c.total, c.bad = at, 0, 0
	}
	c.total++
	if !good {
		c.bad++
	}
}

// Left is the share of the budget that is left: 1 without a bad call, 0 when
// it is used up, negative when it is overdrawn.
func (w *Window) Left() float64 {
	first := w.now().UnixNano()/int64(slot) - slots + 1
	w.mu.Lock()
	defer w.mu.Unlock()
	var total, bad int64
	for _, c := range w.counts {
		if c.at >= first {
			total += c.total
			bad += c.bad
		}
	}
	if total == 0 {
		return 1
	}
	return 1 - float64(bad)/(float64(total)*w.allowed)
}
