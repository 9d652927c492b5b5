// Package geo is a road network, and ways through it.
package geo

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Graph is a network of nodes 0 to Nodes()-1 and one-way edges.
type Graph struct {
	side      int // nodes lie in a jittered square grid of so many a side
	Lat, Lon  []float64
	first     []int32 // edges of node n are first[n] to first[n+1]
	To        []int32
	Metres    []float32
	KmPerHour []float32
	cut       []bool // nodes that have no way to most others
}

// The town lies here; its grid has this step in degrees.
const (
	south, west = 52.30, 13.10
	step        = 0.0025
)

// fastest is the highest speed on any edge.
const fastest = 100

// Generate makes a town of side × side crossings: small streets, some missing,
// and a faster road every eighth row and column. The same seed is the same town.
func Generate(side int, seed uint64) *Graph {
	r := rand.New(rand.NewPCG(seed, 0x746f776e))
	g := &Graph{side: side}
	for row := range side {
		for column := range side {
			g.Lat = append(g.Lat, south+(float64(row)+r.Float64()*0.6)*step)
			g.Lon = append(g.Lon, west+(float64(column)+r.Float64()*0.6)*step)
		}
	}
	links := make([][]int32, side*side)
	speeds := map[[2]int32]float32{}
	for n := range int32(side * side) {
		row, column := int(n)/side, int(n)%side
		for _, to := range []struct{ row, column int }{{row, column + 1}, {row + 1, column}} {
			main := to.row == row && row%8 == 0 || to.column == column && column%8 == 0
			if to.row == side || to.column == side || !main && r.IntN(100) < 18 {
				continue
			}
			speed := float32(25 + 5*r.IntN(6))
			if main {
				speed = float32(60 + 10*r.IntN(5))
			}
			m := int32(to.row*side + to.column)
			links[n], links[m] = append(links[n], m), append(links[m], n)
			speeds[[2]int32{n, m}], speeds[[2]int32{m, n}] = speed, speed
		}
	}
	for n, to := range links {
		g.first = append(g.first, int32(len(g.To)))
		for _, m := range to {
			g.To = append(g.To, m)
			// Streets are never shorter than the straight line.
			g.Metres = append(g.Metres, float32(Distance(g.Lat[n], g.Lon[n], g.Lat[m], g.Lon[m])*(1.001+0.2*r.Float64())))
			g.KmPerHour = append(g.KmPerHour, speeds[[2]int32{int32(n), m}])
		}
	}
	g.first = append(g.first, int32(len(g.To)))
	g.findCut()
	return g
}

// findCut marks all nodes outside the largest part of the network. All streets
// go both ways, so each part can be walked from any of its nodes.
func (g *Graph) findCut() {
	part := make([]int, g.Nodes()) // number of each node's part; 0 is none yet
	sizes := []int{0}
	for start := range part {
		if part[start] != 0 {
			continue
		}
		number := len(sizes)
		sizes = append(sizes, 0)
		part[start] = number
		for todo := []int32{int32(start)}; len(todo) > 0; {
			n := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			sizes[number]++
			for _, to := range g.To[g.first[n]:g.first[n+1]] {
				if part[to] == 0 {
					part[to] = number
					todo = append(todo, to)
				}
			}
		}
	}
	largest := slices.Index(sizes, slices.Max(sizes))
	g.cut = make([]bool, len(part))
	for n, number := range part {
		g.cut[n] = number != largest
	}
}

// Nodes is how many crossings there are.
func (g *Graph) Nodes() int { return len(g.Lat) }

// Distance is the length in metres of the great circle between two places.
func Distance(lat1, lon1, lat2, lon2 float64) float64 {
	const earth = 6_371_000
	const rad = math.Pi / 180
	dLat, dLon := (lat2-lat1)*rad/2, (lon2-lon1)*rad/2
	a := math.Sin(dLat)*math.Sin(dLat) + math.Cos(lat1*rad)*math.Cos(lat2*rad)*math.Sin(dLon)*math.Sin(dLon)
	return 2 * earth * math.Asin(math.Sqrt(min(a, 1)))
}

// Nearest returns the crossing next to a place, of those that can be reached
// from most others, and how many metres away it is.
func (g *Graph) Nearest(lat, lon float64) (node int, metres float64) {
	row := min(max(int((lat-south)/step), 0), g.side-1)
	column := min(max(int((lon-west)/step), 0), g.side-1)
	metres = math.Inf(1)
	for r := max(row-2, 0); r <= min(row+2, g.side-1); r++ {
		for c := max(column-2, 0); c <= min(column+2, g.side-1); c++ {
			n := r*g.side + c
			if g.cut[n] {
				continue
			}
			if d := Distance(lat, lon, g.Lat[n], g.Lon[n]); d < metres {
				node, metres = n, d
			}
		}
	}
	return node, metres
}
