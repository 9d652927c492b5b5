package table

import (
	"fmt"
	"strings"
	"testing"

	"probelab.dev/go-samples/monorepo/internal/hashing"
)

func TestColumns(t *testing.T) {
	src := `Order ID,Price,Paid?,At,Note,Mixed,Never
1,2.5,yes,2026-01-01T00:00:00Z,a,true,
2,-1,no,2026-01-01T00:00:10Z,"b, c",1,
3,1e2,yes,2026-01-02T00:00:00+01:00,,2026-01-01T00:00:00Z,
`
	rep, err := Read([]byte(src), hashing.XX{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range rep.Columns {
		got = append(got, fmt.Sprintf("%s %s %d %d %g %g %.4g", c.Name, c.Type, c.Empty, c.Distinct, c.Least, c.Most, c.Mean))
	}
	want := []string{
		"order-id integer 0 3 1 3 2",
		"price decimal 0 3 -1 100 33.83",
		"paid boolean 0 2 0 1 0.6667",
		"at time 0 3 1.7672256e+09 1.7673084e+09 1.767e+09",
		"note text 1 2 1 4 2.5",
		"mixed text 0 3 1 20 8.333",
		"never empty 3 0 0 0 0",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") || rep.Rows != 3 {
		t.Errorf("%d rows:\n%s\nwant\n%s", rep.Rows, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestManyDistinct(t *testing.T) {
	var b strings.Builder
	b.WriteString("n\n")
	for i := range maxDistinct + 10 {
		fmt.Fprintln(&b, i)
	}
	rep, err := Read([]byte(b.String()), hashing.FNV{})
	if err != nil {
		t.Fatal(err)
	}
	c := rep.Columns[0]
	if c.Distinct != maxDistinct || !c.Many || c.Median < 4800 || c.Median > 5200 {
		t.Errorf("%+v", c)
	}
}

func TestMistakes(t *testing.T) {
	for src, want := range map[string]string{
		"":                       "the file is empty",
		"a,b\n1\n":               "wrong number of fields",
		"a\n\"x\n":               "extraneous or missing",
		strings.Repeat("c,", 64): "65 columns",
	} {
		if _, err := Read([]byte(src), hashing.XX{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", src, err, want)
		}
	}
}
