package errorbudget

import (
	"math"
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	w := New(99, func() time.Time { return now })
	left := func(want float64) {
		t.Helper()
		if got := w.Left(); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v is left, want %v", got, want)
		}
	}
	left(1)
	for i := range 400 {
		w.Count(i != 7 && i != 8) // 2 bad of 4 allowed
	}
	left(0.5)
	now = now.Add(4 * time.Minute)
	for range 3 {
		w.Count(false) // 5 of 4.03
	}
	left(1 - 5/4.03)
	now = now.Add(90 * time.Second) // the first 400 are older than the window
	left(1 - 3/0.03)
	now = now.Add(time.Hour)
	left(1)
	w.Count(true) // in a slot that was used before
	left(1)
}
