package hashing

import (
	"fmt"
	"testing"
)

func TestRing(t *testing.T) {
	for _, h := range []Hasher{XX{}, FNV{}} {
		const keys = 20_000
		four, five := NewRing(h, 4, 100), NewRing(h, 5, 100)
		var count [5]int
		moved := 0
		for i := range keys {
			key := fmt.Appendf(nil, "key-%d", i)
			before, after := four.Server(key), five.Server(key)
			count[before]++
			if before != after {
				moved++
				if after != 4 {
					t.Fatalf("%T: %s moved from %d to %d, not to the new server", h, key, before, after)
				}
			}
		}
		for s, n := range count[:4] {
			if n < keys/8 || n > keys/2 {
				t.Errorf("%T: server %d has %d of %d keys", h, s, n, keys)
			}
		}
		if moved < keys/10 || moved > keys/3 {
			t.Errorf("%T: %d of %d keys moved", h, moved, keys)
		}
	}
}
