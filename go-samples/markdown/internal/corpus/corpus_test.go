package corpus

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"gitlab.com/golang-commonmark/markdown"

	"probelab.dev/go-samples/kit/load"
	"probelab.dev/go-samples/kit/servicetest"
)

func TestStreams(t *testing.T) { servicetest.Streams(t, Request) }

// Every kind makes the renderer do what it is there for.
func TestKindsAreWhatTheySay(t *testing.T) {
	for m, p := range mixes {
		total := 0
		for i, share := range p.shares {
			total += share
			doc := document(kinds[i], rand.New(rand.NewPCG(1, uint64(i))), p)
			if !utf8.Valid(doc) || len(doc) < p.min || len(doc) > 2*p.max {
				t.Errorf("%s %s: %d bytes", m, kinds[i].name, len(doc))
			}
			html := markdown.New(markdown.XHTMLOutput(true)).RenderToString(doc)
			if err := check([]byte(html)); err != nil {
				t.Errorf("%s %s: %v\n%.200s", m, kinds[i].name, err, html)
			}
			want := map[string]string{
				"readme": "<pre>", "changelog": "<ul>", "reference": "<table>",
				"article": "<h1>", "thread": "<blockquote>", "notes": "<li>",
			}[kinds[i].name]
			if !strings.Contains(html, want) {
				t.Errorf("%s %s: no %s in its HTML", m, kinds[i].name, want)
			}
		}
		if total != 100 {
			t.Errorf("%s: shares sum to %d", m, total)
		}
	}
}

func TestMixesDiffer(t *testing.T) {
	changelogs, size := map[load.Mix]int{}, map[load.Mix]int{}
	for m := range mixes {
		for k := range 200 {
			r := load.Stream{Mix: m, Seed: 1, Length: 200, Make: Request}.Request(k)
			size[m] += len(r.Body)
			if strings.Contains(string(r.Body), "\n## [1.90.0]") {
				changelogs[m]++
			}
		}
	}
	if changelogs[load.Train] < 2*changelogs[load.Test] || changelogs[load.Test] == 0 {
		t.Errorf("changelogs: %v; train should have far more", changelogs)
	}
	if size[load.Train]*5 > size[load.Test]*4 {
		t.Errorf("bytes: %v; test's documents should be longer", size)
	}
}
