package event

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

func pair() map[string]Decoder {
	return map[string]Decoder{"per token": NewPerToken(), "per event": NewPerEvent()}
}

// code returns what follows the constructor in a file of the pair.
func code(t *testing.T, file, name string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "// Decode implements Decoder.\n")
	if !ok || strings.Count(rest, name) == 0 {
		t.Fatalf("%s is not as expected", file)
	}
	return strings.ReplaceAll(rest, name, "decoder")
}

// What a profile does to one and not to the other can come from nothing else.
func TestThePairDiffersInTheTypeOfOneField(t *testing.T) {
	if code(t, "pertoken.go", "perToken") != code(t, "perevent.go", "perEvent") {
		t.Error("pertoken.go and perevent.go differ after their constructors: change both alike")
	}
}

// FuzzPair holds the pair against JSON, which is tested on its own.
func FuzzPair(f *testing.F) {
	const good = `{"id":"a","tenant":"t","kind":"k","at":1,"value":2}`
	for _, src := range []string{
		good, ` {"value":-9223372036854775808,"attrs":{"x":"\u00e9","y":"\""},"at":"2026-01-01T01:00:00.5+01:00","kind":"k","tenant":"t","id":"i"} x`,
		strings.Replace(good, "2}", `2,"attrs":{}}`, 1), "", "[]", "{}", `{"id":"i","id":"j"}`, `{"id":"i",}`, `{"id" "i"}`, `{"id":"i" "tenant":"t"}`,
		strings.Replace(good, "2}", `2,"attrs":{"a":"1","a":"2"}}`, 1), strings.Replace(good, "2}", "2.5}", 1), strings.Replace(good, ":1,", ":-1,", 1),
		strings.Replace(good, `"a"`, `"\q"`, 1), strings.Replace(good, `"a"`, "\"\xff\"", 1), strings.Replace(good, `"a"`, "\"\x01\"", 1), good[:20],
		strings.Replace(good, "2}", `2,"attrs":{"":"1"}}`, 1), strings.Replace(good, `"t"`, `""`, 1), strings.Replace(good, "2}", `2,"attrs":{"a":"1",}}`, 1),
		strings.Replace(good, `"a"`, `"`+strings.Repeat("i", 129)+`"`, 1), strings.Replace(good, "2}", `"2"}`, 1), strings.Replace(good, ":1,", `:"x",`, 1),
		strings.Replace(good, `"a"`, `"`+strings.Repeat("i", MaxLine)+`"`, 1),
	} {
		f.Add([]byte(src))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var want Event
		n, err := NewJSON().Decode(src, &want)
		for name, d := range pair() {
			var got Event
			m, err2 := d.Decode(src, &got)
			if (err == nil) != (err2 == nil) {
				t.Errorf("%s: %v; JSON: %v", name, err2, err)
			} else if err == nil && (m != n || !reflect.DeepEqual(got, want)) {
				t.Errorf("%s: %+v of %d bytes; JSON: %+v of %d", name, got, m, want, n)
			}
		}
	})
}

// A decoder is used again after a mistake.
func TestThePairGoesOnAfterAMistake(t *testing.T) {
	for name, d := range pair() {
		var ev Event
		if _, err := d.Decode([]byte(`{"id":"\q"`), &ev); err == nil || !strings.Contains(err.Error(), "byte 7") {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := d.Decode([]byte(`{"id":"a","tenant":"t","kind":"k","at":1,"value":2}`), &ev); err != nil || ev.ID != "a" {
			t.Errorf("%s: %+v %v", name, ev, err)
		}
	}
}

func BenchmarkPair(b *testing.B) {
	src := []byte(`{"id":"train-1a2b3c","tenant":"train-12","kind":"click","at":1767225600000,"value":731,"attrs":{"region":"eu-west","status":"200","agent":"client/7"}}`)
	for name, d := range pair() {
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			b.ReportAllocs()
			var ev Event
			for b.Loop() {
				if _, err := d.Decode(src, &ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
