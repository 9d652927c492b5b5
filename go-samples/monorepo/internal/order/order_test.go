package order

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestQueueSorts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 60 {
		q := NewQueue(func(a, b int) bool { return a < b })
		var want []int
		for range n {
			v := r.IntN(20)
			q.Push(v)
			want = append(want, v)
		}
		if n > 2 { // the least goes, another comes
			slices.Sort(want)
			want[0] = 7
			q.ReplaceTop(7)
		}
		slices.Sort(want)
		var got []int
		for q.Len() > 0 {
			got = append(got, q.Pop())
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

type numbers struct {
	all []uint64
	at  int
}

func (n *numbers) Next() bool  { n.at++; return n.at <= len(n.all) }
func (n *numbers) Key() uint64 { return n.all[n.at-1] }

func TestMergeIsSortedAndStable(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		type item struct {
			source int
			key    uint64
		}
		var sources []Source
		var want []item
		for s := range r.IntN(6) {
			var all []uint64
			for range r.IntN(20) {
				all = append(all, r.Uint64N(30))
			}
			slices.Sort(all)
			for _, k := range all {
				want = append(want, item{s, k})
			}
			sources = append(sources, &numbers{all: all})
		}
		slices.SortStableFunc(want, func(a, b item) int { return int(a.key) - int(b.key) })
		var got []item
		m := NewMerge(sources)
		for {
			source, key, ok := m.Next()
			if !ok {
				break
			}
			got = append(got, item{source, key})
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		if _, _, ok := m.Next(); ok {
			t.Fatal("it goes on after its end")
		}
	}
}
