package event

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	for name, tc := range map[string]struct {
		src  string
		want Event
	}{
		"all fields": {
			`{"id":"a1","tenant":"acme","kind":"click","at":1700000000000,"value":-7,"attrs":{"k":"v","l":"w"}}`,
			Event{"a1", "acme", "click", 1700000000000, -7, []Attr{{"k", "v"}, {"l", "w"}}},
		},
		"any order, spaces, no attrs": {
			" { \"value\" : 0 ,\n\t\"at\":\"2026-01-01T01:00:00.5+01:00\",\"kind\":\"k\",\"tenant\":\"t\",\"id\":\"i\" } ",
			Event{"i", "t", "k", 1767225600500, 0, nil},
		},
		"escapes": {
			`{"id":"\u00e9\ud83d\ude00\n\"","tenant":"\/","kind":"\\","at":0,"value":9223372036854775807,"attrs":{}}`,
			Event{"é😀\n\"", "/", `\`, 0, 1<<63 - 1, nil},
		},
		"least value": {
			`{"id":"i","tenant":"t","kind":"k","at":0,"value":-9223372036854775808}`,
			Event{"i", "t", "k", 0, -1 << 63, nil},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got Event
			n, err := NewJSON().Decode([]byte(tc.src), &got)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v\nwant %+v", got, tc.want)
			}
			if want := strings.LastIndexByte(tc.src, '}') + 1; n != want {
				t.Errorf("took %d bytes, want %d", n, want)
			}
		})
	}
}

func TestDecodeMistakes(t *testing.T) {
	with := func(field, value string) string {
		fields := map[string]string{"id": `"i"`, "tenant": `"t"`, "kind": `"k"`, "at": "0", "value": "0"}
		fields[field] = value
		var parts []string
		for k, v := range fields {
			parts = append(parts, `"`+k+`":`+v)
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	many := ""
	for i := range MaxAttrs {
		many += fmt.Sprintf(`"k%d":"v",`, i)
	}
	for name, tc := range map[string]struct{ src, want string }{
		"empty":            {"", "must be a JSON object"},
		"array":            {"[]", "must be a JSON object"},
		"no fields":        {"{}", `field "id" is missing`},
		"value missing":    {`{"id":"i","tenant":"t","kind":"k","at":0}`, `field "value" is missing`},
		"unknown field":    {with("colour", `"red"`), `unknown field "colour"`},
		"twice":            {`{"id":"i","id":"j"}`, `field "id" is given twice`},
		"fraction":         {with("value", "1.5"), "value must be a whole number"},
		"leading zero":     {with("value", "01"), "value must be a whole number"},
		"too large":        {with("value", "9223372036854775808"), "value must be a whole number"},
		"value a string":   {with("value", `"1"`), "value must be a whole number"},
		"tenant a number":  {with("tenant", "1"), "tenant must be a string"},
		"tenant empty":     {with("tenant", `""`), "tenant must have 1 to 64 bytes, not 0"},
		"id too long":      {with("id", `"`+strings.Repeat("i", 129)+`"`), "id must have 1 to 128 bytes, not 129"},
		"not a time":       {with("at", `"yesterday"`), "at must be milliseconds since 1970 or an RFC 3339 time"},
		"negative time":    {with("at", "-1"), "at must be milliseconds"},
		"bad escape":       {with("id", `"\q"`), `bad \ escape`},
		"half a surrogate": {with("id", `"\ud83d"`), `bad \ escape`},
		"control byte":     {with("id", "\"\x01\""), "control character"},
		"not UTF-8":        {with("id", "\"\xff\""), "not valid UTF-8"},
		"cut in a string":  {`{"id":"i`, "no closing quote"},
		"cut after colon":  {`{"id":`, "id must be a string"},
		"no comma":         {`{"id":"i" "tenant":"t"}`, "expected , or }"},
		"trailing comma":   {`{"id":"i",}`, "expected a field name"},
		"no colon":         {`{"id" "i"}`, "expected : after a field name"},
		"attrs a list":     {with("attrs", "[]"), "attrs must be an object"},
		"attr a number":    {with("attrs", `{"a":1}`), "an attribute must be a string"},
		"attr twice":       {with("attrs", `{"a":"1","a":"2"}`), `attribute "a" is given twice`},
		"too many attrs":   {with("attrs", "{"+many+`"z":"v"}`), "at most 32 attrs"},
		"too long":         {with("id", `"`+strings.Repeat("i", MaxLine)+`"`), "at most 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			var ev Event
			_, err := NewJSON().Decode([]byte(tc.src), &ev)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// FuzzDecodeEvent holds our decoder against encoding/json: what ours accepts,
// that one must accept too, with the same contents.
func FuzzDecodeEvent(f *testing.F) {
	f.Add([]byte(`{"id":"a","tenant":"t","kind":"k","at":1,"value":2,"attrs":{"x":"y"}}`))
	f.Add([]byte(`{"id":"\u00e9\ud83d\ude00","tenant":"\n","kind":"\/","at":"2026-01-01T00:00:00Z","value":-0}`))
	f.Add([]byte(`{"id":"a","tenant":"t"} {`))
	f.Fuzz(func(t *testing.T, src []byte) {
		var got Event
		n, err := NewJSON().Decode(src, &got)
		if err != nil {
			return
		}
		var ref struct {
			ID, Tenant, Kind string
			At               any
			Value            int64
			Attrs            map[string]string
		}
		if err := json.Unmarshal(src[:n], &ref); err != nil {
			t.Fatalf("accepted %q, which encoding/json refuses: %v", src[:n], err)
		}
		if got.ID != ref.ID || got.Tenant != ref.Tenant || got.Kind != ref.Kind || got.Value != ref.Value {
			t.Errorf("%q: got %+v, encoding/json reads %+v", src[:n], got, ref)
		}
		if at, ok := ref.At.(float64); ok && at != float64(got.At) {
			t.Errorf("%q: at is %d, encoding/json reads %v", src[:n], got.At, at)
		}
		if len(got.Attrs) != len(ref.Attrs) {
			t.Errorf("%q: %d attributes, encoding/json reads %d", src[:n], len(got.Attrs), len(ref.Attrs))
		}
		for _, a := range got.Attrs {
			if ref.Attrs[a.Key] != a.Value {
				t.Errorf("%q: attribute %q is %q, encoding/json reads %q", src[:n], a.Key, a.Value, ref.Attrs[a.Key])
			}
		}
	})
}
