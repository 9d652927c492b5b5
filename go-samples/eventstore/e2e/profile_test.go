package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The committed profile is keyed by function names and by lines from a
// function's start. When the code moves on, the compiler ignores what no
// longer fits and says nothing; then this fails, and the profile must be
// recorded again (README.md).
func TestProfileStillFitsTheCode(t *testing.T) {
	// The go command keys its cache by the text of the flags, not by what is in
	// the profile, so the path must be new each time.
	profile := filepath.Join(t.TempDir(), "train")
	out, err := exec.Command("go", "tool", "preprofile", "-i", "../profiles/train.pprof", "-o", profile).CombinedOutput()
	if err != nil {
		t.Fatalf("go tool preprofile: %v\n%s", err, out)
	}
	if err := build(); err != nil { // also ties this result to the sources
		t.Fatal(err)
	}
	// All packages get the profile: a call across two of them is devirtualised
	// only when the callee's was compiled with it too.
	decisions := func(flags string) string {
		out, err := exec.Command("go", "build", "-pgo=off", "-gcflags=-m=2"+flags, "../internal/...").CombinedOutput()
		if err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		return string(out)
	}
	off, on := decisions(""), decisions(" -pgoprofile="+profile)
	for _, want := range []string{
		"can inline (*lexer).next with cost",
		"can inline (*reader).uvarint with cost",
		"PGO devirtualizing interface call dec.Decode to event.(*JSON).Decode",
		"PGO devirtualizing interface call enc.encode to (*delta).encode",
		"PGO devirtualizing interface call f.match to (*inTime).match",
	} {
		if strings.Contains(off, want) {
			t.Errorf("%q appears without the profile, so it proves nothing", want)
		}
		if !strings.Contains(on, want) {
			t.Errorf("the profile no longer leads to %q", want)
		}
	}
}
