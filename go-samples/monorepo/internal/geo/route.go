package geo

import (
	"math"

	"probelab.dev/go-samples/monorepo/internal/order"
)

// Cost says what a way is to have least of.
type Cost interface {
	// Edge is the cost of an edge.
	Edge(metres, kmPerHour float64) float64
	// Bound is at most the cost of any way of such a straight line.
	Bound(metres float64) float64
}

// Shortest counts metres.
type Shortest struct{}

// Edge implements Cost.
func (Shortest) Edge(metres, _ float64) float64 { return metres }

// Bound implements Cost.
func (Shortest) Bound(metres float64) float64 { return metres }

// Quickest counts seconds, with some for each crossing.
type Quickest struct{}

const crossing = 4 // seconds

// Edge implements Cost.
func (Quickest) Edge(metres, kmPerHour float64) float64 { return crossing + metres*3.6/kmPerHour }

// Bound implements Cost.
func (Quickest) Bound(metres float64) float64 { return metres * 3.6 / fastest }

// Route is a way through the network.
type Route struct {
	Nodes   []int
	Cost    float64
	Metres  float64
	Visited int // crossings that the search looked at
}

// Finder finds routes. It is not safe for concurrent use.
type Finder struct {
	graph *Graph
	cost  []float64 // from the start, for the nodes that this search saw
	from  []int32
	seen  []uint32 // number of the search that saw a node last
	done  []uint32
	round uint32
	queue *order.Queue[open]
}

type open struct {
	bound float64 // cost from the start and, at least, to the end
	node  int32
}

// NewFinder makes a finder with room for the graph's nodes.
func NewFinder(g *Graph) *Finder {
	n := g.Nodes()
	return &Finder{g, make([]float64, n), make([]int32, n), make([]uint32, n), make([]uint32, n), 0,
		order.NewQueue(func(a, b open) bool { return a.bound < b.bound || a.bound == b.bound && a.node < b.node })}
}

// Find returns the way of the least cost (A*); false when there is none.
func (f *Finder) Find(start, end int, cost Cost) (Route, bool) {
	f.round++
	f.queue.Reset()
	route := Route{}
	f.see(int32(start), -1, 0, end, cost)
	for f.queue.Len() > 0 {
		node := f.queue.Pop().node
		if f.done[node] == f.round {
			continue // it came with a lower cost before
		}
		f.done[node] = f.round
		route.Visited++
		if int(node) == end {
			f.trace(&route, end)
			return route, true
		}
		for e := f.graph.first[node]; e < f.graph.first[node+1]; e++ {
			to := f.graph.To[e]
			if f.done[to] == f.round {
				continue
			}
			total := f.cost[node] + cost.Edge(float64(f.graph.Metres[e]), float64(f.graph.KmPerHour[e]))
			if f.seen[to] != f.round || total < f.cost[to] {
				f.see(to, node, total, end, cost)
			}
		}
	}
	return route, false
}

func (f *Finder) see(node, from int32, total float64, end int, cost Cost) {
	f.seen[node], f.cost[node], f.from[node] = f.round, total, from
	left := Distance(f.graph.Lat[node], f.graph.Lon[node], f.graph.Lat[end], f.graph.Lon[end])
	// A little less, so that rounding never makes it too much.
	f.queue.Push(open{total + cost.Bound(left)*(1-1e-6), node})
}

// trace follows the search back from the end.
func (f *Finder) trace(r *Route, end int) {
	r.Cost = f.cost[end]
	for node := int32(end); node >= 0; node = f.from[node] {
		r.Nodes = append(r.Nodes, int(node))
	}
	for i, j := 0, len(r.Nodes)-1; i < j; i, j = i+1, j-1 {
		r.Nodes[i], r.Nodes[j] = r.Nodes[j], r.Nodes[i]
	}
	for i := 1; i < len(r.Nodes); i++ {
		r.Metres += f.graph.length(r.Nodes[i-1], r.Nodes[i])
	}
}

func (g *Graph) length(from, to int) float64 {
	for e := g.first[from]; e < g.first[from+1]; e++ {
		if int(g.To[e]) == to {
			return float64(g.Metres[e])
		}
	}
	return math.Inf(1) // not an edge
}
