package e2e

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// A profile takes the allocations out of one design of a decoder and not out
// of the other, whose calls it makes direct all the same (README.md, A pair).
func TestAProfileHelpsOneOfThePair(t *testing.T) {
	if err := build(); err != nil { // ties this result to the sources
		t.Fatal(err)
	}
	const tokens = 37 // of the benchmark's event; its id is one allocation more
	without := allocations(t)
	for name, want := range map[string]struct{ least, most int }{
		// The token of the opening brace is given to no interface, and may go.
		"per-token": {tokens - 1, tokens},
		// Tokens of a rare kind may be left: no sample saw their calls.
		"per-event": {0, 8},
	} {
		if without[name] != tokens+1 {
			t.Errorf("%s: %d allocations an event without a profile, want %d", name, without[name], tokens+1)
		}
		// The go command keys its cache by the text of the flags, not by what is
		// in the profile, so the path must be new each time.
		profile := filepath.Join(t.TempDir(), "profile")
		out, err := exec.Command("go", "tool", "preprofile", "-i", "../profiles/pair/"+name+".pprof", "-o", profile).CombinedOutput()
		if err != nil {
			t.Fatalf("go tool preprofile: %v\n%s", err, out)
		}
		with := allocations(t, "-gcflags=-pgoprofile="+profile)[name]
		if with < want.least+1 || with > want.most+1 {
			t.Errorf("%s: %d allocations an event with its profile, want %d to %d", name, with, want.least+1, want.most+1)
		}
	}
}

var allocs = regexp.MustCompile(`BenchmarkPair/(per-\w+).* (\d+) allocs/op`)

// allocations runs the benchmarks of the pair.
func allocations(t *testing.T, flags ...string) map[string]int {
	t.Helper()
	args := append([]string{"test", "-pgo=off", "-run=^$", "-bench=^BenchmarkPair$", "-benchtime=50x"}, flags...)
	out, err := exec.Command("go", append(args, "../internal/event")...).CombinedOutput()
	if err != nil {
		t.Fatalf("go test: %v\n%s", err, out)
	}
	found := map[string]int{}
	for _, m := range allocs.FindAllStringSubmatch(string(out), -1) {
		n, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		found[m[1]] = n
	}
	if len(found) != 2 {
		t.Fatalf("go test said\n%s", out)
	}
	return found
}
