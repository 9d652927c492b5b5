package main

import (
	"encoding/json"
	"flag"
	"testing"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/monorepo/internal/routetest"
)

func TestRoute(t *testing.T) {
	s := routetest.WithFlags(t, flags, "--side", "30")
	ask := func(by string) (a answer) {
		t.Helper()
		if err := json.Unmarshal([]byte(s.Want("/route?from=52.31,13.11&to=52.36,13.16&by="+by, "", 200, "points")), &a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	quick, short := ask("quickest"), ask("shortest")
	// The straight line is 6.5 km.
	if short.Metres < 6500 || short.Metres > 11_000 || quick.Metres < short.Metres || short.Cost != short.Metres {
		t.Errorf("shortest %v m, quickest %v m", short.Metres, quick.Metres)
	}
	if d := short.Points[0][0] - 52.31; d < -0.01 || d > 0.01 || len(short.Points) < 20 {
		t.Errorf("it starts at %v and has %d points", short.Points[0], len(short.Points))
	}
}

func TestMistakes(t *testing.T) {
	s := routetest.WithFlags(t, flags, "--side", "10")
	for path, want := range map[string]string{
		"/route":                                          "from: ",
		"/route?from=52.3,13.1&to=52.3":                   "to: ",
		"/route?from=91,0&to=0,0":                         "from: ",
		"/route?from=NaN,0&to=0,0":                        "from: ",
		"/route?from=52.305,13.105&to=52.31,13.11&by=sea": "by: ",
	} {
		s.Want(path, "", 400, want)
	}
	s.Want("/route?from=52.305,13.105&to=48,2", "", 422, "to: the next crossing is")
	fs := flag.NewFlagSet("x", flag.ContinueOnError)
	build := flags(fs)
	if err := fs.Parse([]string{"--side", "1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := build(service.NewRoutes("x")); err == nil {
		t.Error("a town of one crossing was made")
	}
}
