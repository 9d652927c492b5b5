package main

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/monorepo/internal/routetest"
)

func TestBatch(t *testing.T) {
	for _, policy := range []string{"lru", "lfu"} {
		s := routetest.WithFlags(t, flags, "--policy", policy)
		if got := s.Want("/batch", "get a\nset a b c\nget a\nset a d\nget a\nget b", 200, ""); got != "-\n!\n+b c\n!\n+d\n-\n" {
			t.Errorf("%s: %q", policy, got)
		}
		s.Want("/metrics", "", 200, "x_hits 2\n")
		s.Want("/metrics", "", 200, "x_misses 2\n")
	}
}

func TestThereIsNoMoreThanRoom(t *testing.T) {
	s := routetest.WithFlags(t, flags, "--room", "64")
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, "set k%d v\n", i)
	}
	s.Want("/batch", b.String(), 200, "!")
	s.Want("/metrics", "", 200, "x_values 64\n")
}

func TestMistakes(t *testing.T) {
	s := routetest.WithFlags(t, flags)
	for body, want := range map[string]string{
		"get a\nput b c":                     `line 2: \"put\" is not get or set`,
		"get ":                               "a key has 1 to 256 bytes, not 0",
		"set a":                              "it must be get KEY, or set KEY VALUE",
		"get a b":                            "it must be get KEY, or set KEY VALUE",
		"get " + strings.Repeat("k", 257):    "not 257",
		"set a " + strings.Repeat("v", 4097): "at most 4096 bytes",
		"\n":                                 "is not get or set",
	} {
		s.Want("/batch", body, 400, want)
	}
	fs := flag.NewFlagSet("x", flag.ContinueOnError)
	build := flags(fs)
	if err := fs.Parse([]string{"--policy", "fifo"}); err != nil {
		t.Fatal(err)
	}
	if _, err := build(service.NewRoutes("x")); err == nil {
		t.Error("there is a policy fifo")
	}
}
