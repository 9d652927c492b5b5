package cache

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func key(i int) []byte { return fmt.Appendf(nil, "k%d", i) }

// The list of LRU is held against a plain slice.
func TestLRU(t *testing.T) {
	const room = 5
	c := New[int](room, NewLRU())
	var order []int // oldest first
	r := rand.New(rand.NewPCG(1, 1))
	for range 5000 {
		k := r.IntN(9)
		at := slices.Index(order, k)
		if r.IntN(2) == 0 {
			v, ok := c.Get(key(k))
			if ok != (at >= 0) || ok && v != k {
				t.Fatalf("get %d: %d %v; the order is %v", k, v, ok, order)
			}
			if !ok {
				continue
			}
		} else {
			c.Put(key(k), k)
		}
		if at >= 0 {
			order = slices.Delete(order, at, at+1)
		} else if len(order) == room {
			order = order[1:]
		}
		order = append(order, k)
		if c.Len() != len(order) {
			t.Fatalf("%d values, want %d", c.Len(), len(order))
		}
	}
	if c.Dropped() == 0 {
		t.Error("nothing was dropped")
	}
}

// What is asked for often stays.
func TestLFUKeepsTheFrequent(t *testing.T) {
	c := New[int](100, NewLFU(1))
	hits := 0
	for i := range 20_000 {
		c.Put(key(1000+i), i) // each once
		if i < 100 {
			c.Put(key(i%20), i)
		}
		if _, ok := c.Get(key(i % 20)); ok && i >= 1000 {
			hits++
		}
	}
	if hits < 18_000 {
		t.Errorf("%d of 19000 reads of frequent keys were hits", hits)
	}
}

func TestGetOrPutMakesOnce(t *testing.T) {
	c := New[int](2, NewLRU())
	made := 0
	for range 3 {
		if v := c.GetOrPut(key(1), func() int { made++; return 7 }); v != 7 || made != 1 {
			t.Errorf("%d, made %d times", v, made)
		}
	}
}
