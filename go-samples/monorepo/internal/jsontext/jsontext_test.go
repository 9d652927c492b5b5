package jsontext

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzWalk holds our reader against encoding/json: they accept the same texts
// (ours refuses text that is not UTF-8, or too deep), with the same contents.
func FuzzWalk(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-2.5e+3,0,true,false,null],"b":{"c":"d\n\u00e9\ud83d\ude00\ud83d"}}`, ` [ ] `, `{}`, `"x`, `01`, `1.`, `1e`, `-`, `[1,]`,
		`{"a"}`, `{"a":1,}`, `{,}`, `nul`, `"\x"`, "\"\x01\"", `"\u12"`, `[1 2]`, `1 2`, "\"\xff\"", ``, `{"a":1,"a":2}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var got Tree
		var w Walker
		err := w.WalkAll(src, &got)
		var want any
		ref := json.Unmarshal(src, &want)
		if err != nil {
			if ref == nil && utf8.Valid(src) && !strings.Contains(err.Error(), "deep") {
				t.Fatalf("%q was refused: %v", src, err)
			}
			return
		}
		if ref != nil {
			if strings.Contains(ref.Error(), "cannot unmarshal number") {
				return // too large for float64
			}
			t.Fatalf("%q was accepted; encoding/json: %v", src, ref)
		}
		if !reflect.DeepEqual(got.Root, want) {
			t.Errorf("%q: got %#v, want %#v", src, got.Root, want)
		}
	})
}

func TestMistakesSayWhere(t *testing.T) {
	var w Walker
	for src, want := range map[string]string{
		`{"a" 1}`:                "a colon was expected (byte 5)",
		`[1 2]`:                  "a comma or ] was expected (byte 3)",
		`{"a":1]`:                "a comma or } was expected (byte 6)",
		`{} x`:                   "there is something after the value (byte 3)",
		strings.Repeat("[", 100): "more than 64 deep",
	} {
		if err := w.WalkAll([]byte(src), &Tree{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", src, err, want)
		}
	}
}

func TestRedactor(t *testing.T) {
	r := NewRedactor("password", "card")
	var w Walker
	for src, want := range map[string]string{
		`{"user":"a","password":"b"}`:                       `{"user":"a","password":"***"}`,
		`{"card":{"n":[1,{"x":2}],"card":3},"ok":[true,1]}`: `{"card":"***","ok":[true,1]}`,
		` [ {"card" : [ ] } , {"b" : {"password":null}} ] `: `[{"card":"***"},{"b":{"password":"***"}}]`,
		`"a\"\\\u0001\tb,"`:                                 `"a\"\\\u0001\tb,"`,
		`{"a":"x,","b":"{"}`:                                `{"a":"x,","b":"{"}`,
	} {
		r.Reset()
		if err := w.WalkAll([]byte(src), r); err != nil {
			t.Fatal(err)
		}
		if string(r.Out) != want || !json.Valid(r.Out) {
			t.Errorf("%s: got %s, want %s", src, r.Out, want)
		}
	}
	if r.Reset(); r.Hidden != 0 {
		t.Error("Reset keeps the count")
	}
}
