package geo

import (
	"math"
	"math/rand/v2"
	"testing"
)

// all computes the costs from a node to all others in the simplest way.
func all(g *Graph, start int, cost Cost) []float64 {
	costs := make([]float64, g.Nodes())
	for i := range costs {
		costs[i] = math.Inf(1)
	}
	costs[start] = 0
	for changed := true; changed; {
		changed = false
		for n := range g.Nodes() {
			for e := g.first[n]; e < g.first[n+1]; e++ {
				if c := costs[n] + cost.Edge(float64(g.Metres[e]), float64(g.KmPerHour[e])); c < costs[g.To[e]] {
					costs[g.To[e]] = c
					changed = true
				}
			}
		}
	}
	return costs
}

func TestRoutesAreBest(t *testing.T) {
	g := Generate(18, 3)
	f := NewFinder(g)
	r := rand.New(rand.NewPCG(1, 1))
	for _, cost := range []Cost{Shortest{}, Quickest{}} {
		for range 4 {
			start := r.IntN(g.Nodes())
			want := all(g, start, cost)
			for range 30 {
				end := r.IntN(g.Nodes())
				got, ok := f.Find(start, end, cost)
				if ok != !math.IsInf(want[end], 1) {
					t.Fatalf("%T %d to %d: found %v, cost %v", cost, start, end, ok, want[end])
				}
				if ok && math.Abs(got.Cost-want[end]) > 1e-6*want[end] {
					t.Errorf("%T %d to %d: %v, want %v", cost, start, end, got.Cost, want[end])
				}
				if _, isShort := cost.(Shortest); ok && isShort && math.Abs(got.Metres-got.Cost) > 1e-6*got.Cost {
					t.Errorf("%d to %d: %v m by edges, %v by the search", start, end, got.Metres, got.Cost)
				}
			}
		}
	}
}

func TestSameSeedSameTown(t *testing.T) {
	a, b, c := Generate(10, 1), Generate(10, 1), Generate(10, 2)
	if a.Lat[37] != b.Lat[37] || len(a.To) != len(b.To) || a.Metres[5] != b.Metres[5] {
		t.Error("two towns of one seed differ")
	}
	if a.Lat[37] == c.Lat[37] {
		t.Error("seeds 1 and 2 are the same town")
	}
}

func TestDistance(t *testing.T) {
	// A degree of latitude is 111.2 km on a sphere of this size.
	if d := Distance(50, 10, 51, 10); math.Abs(d-111_195) > 50 {
		t.Error(d)
	}
	if d := Distance(50, 10, 50, 10); d != 0 {
		t.Error(d)
	}
}

func TestNearest(t *testing.T) {
	g := Generate(20, 1)
	reached := all(g, 210, Shortest{})
	for n := range g.Nodes() {
		got, d := g.Nearest(g.Lat[n], g.Lon[n])
		if math.IsInf(reached[got], 1) {
			t.Errorf("node %d: nearest to it is %d, to which there is no way", n, got)
		}
		if !math.IsInf(reached[n], 1) && (got != n || d != 0) {
			t.Errorf("node %d: nearest to it is %d", n, got)
		}
	}
	if _, d := g.Nearest(0, 0); d < 1_000_000 {
		t.Errorf("the equator is %v m away", d)
	}
}
