package record

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

var samples = []Record{
	{1_700_000_000_000, "api", "h1", "GET", "/a?b=\"c\",d", 200, 1234, 99},
	{1, "w\"eb", "", "PÖST", "line\nbreak\\ \x01", 599, 0, 1 << 40},
	{0, "s", " lead", "", "", 100, 9, 0},
}

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	for _, format := range Formats {
		enc, err := NewEncoder(format)
		if err != nil {
			t.Fatal(err)
		}
		text := enc.Begin(nil)
		for i := range samples {
			text = enc.Append(text, &samples[i])
		}
		dec, err := NewDecoder(format, text)
		if err != nil {
			t.Fatal(err)
		}
		var got []Record
		if err := Each(dec, func(r *Record) error { got = append(got, *r); return nil }); err != nil {
			t.Fatalf("%s: %v\n%s", format, err, text)
		}
		if !reflect.DeepEqual(got, samples) {
			t.Errorf("%s: got %+v\nwant %+v", format, got, samples)
		}
	}
}

func TestJSONIsJSON(t *testing.T) {
	for _, r := range samples {
		var got Record
		if err := json.Unmarshal(jsonEncoder{}.Append(nil, &r), &got); err != nil || got != r {
			t.Errorf("encoding/json reads %+v (%v) of %+v", got, err, r)
		}
	}
}

func TestUnknownProtoFieldsAreLeftOut(t *testing.T) {
	message := (&protoEncoder{}).Append(nil, &samples[2])
	message = append(message, 0x7a, 1, 'x') // field 15, a string
	message[0] += 3
	d := protoDecoder{src: message, names: names{}}
	var got Record
	if err := d.Decode(&got); err != nil || got != samples[2] {
		t.Errorf("%+v %v", got, err)
	}
}

func TestMistakes(t *testing.T) {
	header := strings.Join(columns, ",") + "\n"
	for _, tc := range []struct{ format, src, want string }{
		{"xml", "", `there is no format "xml"`},
		{"json", `{"service":"s","status":200} {"status":`, "record 2: a value was expected"},
		{"json", `{"service":1}`, `record 1: "service" is not a field of numbers`},
		{"json", `{"status":"x"}`, `"status" is not a field of text`},
		{"json", `{"status":1.5}`, "status must be a whole number"},
		{"json", `{"host":{}}`, "an object of strings and numbers"},
		{"json", `{"host":null}`, "has no null"},
		{"json", `[]`, "an object of strings and numbers"},
		{"json", `"x"`, "an object of strings and numbers"},
		{"json", `{"status":200}`, "it has no service"},
		{"json", `{"service":"s","status":99}`, "its status is 99"},
		{"json", `{"service":"s","status":200,"micros":-1}`, "negative"},
		{"csv", "a,b\n", "the first line must be time,service"},
		{"csv", header + "1,s,h,m,p,x,0,0\n", `status must be a whole number, not "x"`},
		{"csv", header + "1,s\n", "wrong number of fields"},
		{"proto", "\x05\x08", "can't be read"},
		{"proto", "\x02\x0a\x00", "another type"},
		{"proto", "\x01\x08", "can't be read"},
	} {
		dec, err := NewDecoder(tc.format, []byte(tc.src))
		if err == nil {
			err = Each(dec, func(*Record) error { return nil })
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %q: got %v, want %q", tc.format, tc.src, err, tc.want)
		}
	}
}
