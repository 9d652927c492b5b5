package words

import (
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	var s Splitter
	for text, want := range map[string]string{
		"":                             "",
		"The QUICK brown-fox, 42x":     "the quick brown fox 42x",
		"Größe ÄRA naïve":              "größe ära naïve",
		"queries boxes glasses dishes": "query box glass dish",
		"stops stopped stopping bus":   "stop stop stop bus",
		"sing king red thing walked":   "sing king red thing walk",
		"gas is this analysis":         "gas is this analysis",
		"a\xffb":                       "a b",
		strings.Repeat("é", 40):        strings.Repeat("é", 32),
	} {
		var got []string
		s.Stems([]byte(text), func(w []byte) { got = append(got, string(w)) })
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestSlug(t *testing.T) {
	var s Splitter
	if got := string(s.AppendSlug([]byte("/blog/"), []byte("What's new in queries, 2026?"))); got != "/blog/what-s-new-in-queries-2026" {
		t.Error(got)
	}
}
