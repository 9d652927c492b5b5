package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"probelab.dev/go-samples/monorepo/internal/record"
	"probelab.dev/go-samples/monorepo/internal/routetest"
)

func log(host string, times ...int) string {
	var lines []string
	for _, at := range times {
		lines = append(lines, fmt.Sprintf(`{"time":%d,"service":"s","host":%q,"status":200}`, at, host))
	}
	return strings.Join(lines, "\n")
}

func TestCompact(t *testing.T) {
	s := routetest.New(t, register)
	// The first log comes twice, and holds one record twice.
	w := s.Ask("/compact", log("a", 1, 5, 5, 9)+"\n\n"+log("b", 2, 5)+"\n\n"+log("a", 1, 5, 5, 9))
	if w.Code != 200 || w.Header().Get("X-Records") != "5" || w.Header().Get("X-Dropped") != "5" {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	text, err := z.DecodeAll(w.Body.Bytes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	dec, err := record.NewDecoder("proto", text)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	if err := record.Each(dec, func(r *record.Record) error { got += fmt.Sprint(r.Time, r.Host, " "); return nil }); err != nil {
		t.Fatal(err)
	}
	if want := "1a 2b 5a 5b 9a "; strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestMistakes(t *testing.T) {
	s := routetest.New(t, register)
	s.Want("/compact", log("a", 1)+"\n\n"+log("b", 5, 4), 400, "log 2: record 2: it is older than the one before")
	s.Want("/compact", log("a", 1)+"\nx", 400, "log 1: record 2: a value was expected")
	s.Want("/compact", strings.Repeat(log("a", 1)+"\n\n", maxChunks+1), 400, "more than 64 logs")
}
