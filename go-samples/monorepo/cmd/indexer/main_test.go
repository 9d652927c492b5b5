package main

import (
	"strings"
	"testing"

	"probelab.dev/go-samples/monorepo/internal/routetest"
)

func TestSearch(t *testing.T) {
	s := routetest.WithFlags(t, flags, "--keep", "2")
	s.Want("/search?q=fox", "", 200, `"hits":[]`)
	s.Want("/index", `{"title":"one","text":"The quick fox jumped."}
		{"title":"two","text":"Foxes, foxes; and a dog"}`, 200, `{"documents":2,"words":9}`)
	s.Want("/search?q=FOX&by=frequency", "", 200, `{"found":2,"hits":[{"title":"two","score":2},{"title":"one","score":1}]}`)
	s.Want("/search?q=jumps+dogs&n=1", "", 200, `"found":2,"hits":[{"title":"`)
	s.Want("/index", `{"title":"three","text":"fox"}`, 200, "documents")
	s.Want("/search?q=fox", "", 200, `"found":3`)
	s.Want("/index", `{"title":"four","text":"hen"}`, 200, "documents")
	s.Want("/search?q=fox", "", 200, `{"found":1,"hits":[{"title":"three"`) // the first batch is forgotten
}

func TestMistakes(t *testing.T) {
	s := routetest.WithFlags(t, flags)
	s.Want("/index", `{"text":"x"} {`, 400, "document 2: a name in quotes was expected")
	s.Want("/search?q=x", "", 200, `"found":0`) // nothing of it was indexed
	s.Want("/search?q=x&n=0", "", 400, "n: ")
	s.Want("/search?q=x&by=age", "", 400, "by: ")
	s.Want("/search?q="+strings.Repeat("x", 1001), "", 400, "q: ")
}
