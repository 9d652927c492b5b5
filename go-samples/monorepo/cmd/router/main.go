// Command router finds ways through a town.
//
//	router serve --addr 127.0.0.1:8080
package main

import (
	"flag"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/monorepo/internal/geo"
)

// offRoad is how far from a crossing a way may start or end, in metres.
const offRoad = 1000

type router struct {
	town    *geo.Graph
	finders sync.Pool // *geo.Finder
}

func main() {
	service.Main("router", service.Command{Name: "serve", Summary: "answers GET /route", New: flags})
}

func flags(fs *flag.FlagSet) service.Build {
	side := fs.Int("side", 120, "`crossings` on a side of the town, 2 to 1000")
	return func(r *service.Routes) (func() error, error) {
		if *side < 2 || *side > 1000 {
			return nil, fmt.Errorf("%w: --side is %d; it must be 2 to 1000", service.ErrUsage, *side)
		}
		x := &router{town: geo.Generate(*side, 1)}
		x.finders.New = func() any { return geo.NewFinder(x.town) }
		r.Handle("GET /route", x.route)
		return nil, nil
	}
}

// place reads LATITUDE,LONGITUDE.
func place(name, text string) (lat, lon float64, err error) {
	first, second, ok := strings.Cut(text, ",")
	lat, err1 := strconv.ParseFloat(first, 64)
	lon, err2 := strconv.ParseFloat(second, 64)
	if !ok || err1 != nil || err2 != nil || !(math.Abs(lat) <= 90) || !(math.Abs(lon) <= 180) {
		return 0, 0, service.Errorf(http.StatusBadRequest, "%s: %q is not LATITUDE,LONGITUDE in degrees", name, text)
	}
	return lat, lon, nil
}

func (x *router) crossing(name, text string) (int, error) {
	lat, lon, err := place(name, text)
	if err != nil {
		return 0, err
	}
	node, metres := x.town.Nearest(lat, lon)
	if metres > offRoad {
		return 0, service.Errorf(http.StatusUnprocessableEntity, "%s: the next crossing is %.0f m away; at most %d are allowed", name, metres, offRoad)
	}
	return node, nil
}

type answer struct {
	Metres  float64      `json:"metres"`
	Cost    float64      `json:"cost"`
	Visited int          `json:"visited"`
	Points  [][2]float64 `json:"points"`
}

// route answers from=LAT,LON and to=LAT,LON, by=quickest (cost in seconds) or
// by=shortest (in metres).
func (x *router) route(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	from, err := x.crossing("from", q.Get("from"))
	if err != nil {
		return err
	}
	to, err := x.crossing("to", q.Get("to"))
	if err != nil {
		return err
	}
	cost, ok := map[string]geo.Cost{"": geo.Quickest{}, "quickest": geo.Quickest{}, "shortest": geo.Shortest{}}[q.Get("by")]
	if !ok {
		return service.Errorf(http.StatusBadRequest, "by: %q is not quickest or shortest", q.Get("by"))
	}
	f := x.finders.Get().(*geo.Finder)
	defer x.finders.Put(f)
	way, ok := f.Find(from, to, cost)
	if !ok {
		return service.Errorf(http.StatusNotFound, "there is no way from one to the other")
	}
	a := answer{math.Round(way.Metres), math.Round(way.Cost), way.Visited, make([][2]float64, len(way.Nodes))}
	for i, n := range way.Nodes {
		a.Points[i] = [2]float64{x.town.Lat[n], x.town.Lon[n]}
	}
	return service.JSON(w, a)
}
