package block

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"probelab.dev/go-samples/eventstore/internal/event"
)

func encode(t testing.TB, rows []event.Event) []byte {
	t.Helper()
	w, err := NewWriter()
	if err != nil {
		t.Fatal(err)
	}
	b, err := w.Encode(rows, 0)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(b []byte, want Columns) ([]event.Event, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return nil, err
	}
	r, err := NewReader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.Decode(h, want)
}

func sample(n int) []event.Event {
	rows := make([]event.Event, n)
	for i := range rows {
		rows[i] = event.Event{
			ID: fmt.Sprintf("id-%06d", i), Tenant: fmt.Sprintf("t%d", i%7), Kind: fmt.Sprintf("k%d", i%3),
			At: 1_700_000_000_000 + int64(i*i%997), Value: int64(i%113) - 50,
		}
		for j := range i % 4 {
			rows[i].Attrs = append(rows[i].Attrs, event.Attr{Key: fmt.Sprintf("a%d", j), Value: fmt.Sprintf("v%d", i%11)})
		}
	}
	return rows
}

func TestRoundTrip(t *testing.T) {
	for name, rows := range map[string][]event.Event{
		"one":      sample(1),
		"many":     sample(5000),
		"extremes": {{At: 0, Value: math.MinInt64}, {At: math.MaxInt64, Value: math.MaxInt64}, {At: math.MinInt64, Value: 0}},
		"ids":      {{ID: "abc"}, {ID: "ab"}, {ID: ""}, {ID: "abc"}, {ID: strings.Repeat("x", event.MaxID)}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decode(encode(t, rows), All)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, rows) {
				t.Errorf("%d rows differ from the %d encoded", len(got), len(rows))
			}
		})
	}
}

func TestReaderIsReusable(t *testing.T) {
	r, err := NewReader()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, n := range []int{300, 2, 40} {
		rows := sample(n)
		h, err := ParseHeader(encode(t, rows))
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Decode(h, All)
		if err != nil || !reflect.DeepEqual(got, rows) {
			t.Errorf("%d rows: differ after reuse (error %v)", n, err)
		}
	}
}

func TestUnwantedColumnsStayEmpty(t *testing.T) {
	got, err := decode(encode(t, sample(10)), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range got {
		if e.ID != "" || e.Attrs != nil || e.Tenant == "" {
			t.Fatalf("got %+v", e)
		}
	}
}

func TestHeaderKnowsTheRange(t *testing.T) {
	h, err := ParseHeader(encode(t, []event.Event{{At: 5}, {At: -3}, {At: 9}}))
	if err != nil {
		t.Fatal(err)
	}
	if h.Rows != 3 || h.MinAt != -3 || h.MaxAt != 9 {
		t.Errorf("got %d rows, %d to %d", h.Rows, h.MinAt, h.MaxAt)
	}
}

func TestEveryFlippedByteIsNoticed(t *testing.T) {
	good := encode(t, sample(20))
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= 0x40
		if _, err := decode(bad, All); err == nil {
			t.Errorf("byte %d changed and nobody noticed", i)
		}
	}
}

// FuzzDecodeBlock gives the decoder damaged columns under a right checksum. It
// may refuse them; what it accepts must survive another round trip.
func FuzzDecodeBlock(f *testing.F) {
	for _, n := range []int{1, 50} {
		b := encode(f, sample(n))
		h, err := ParseHeader(b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[fixed:len(b)-len(h.body)], h.body)
	}
	f.Fuzz(func(t *testing.T, header, body []byte) {
		if len(header)+len(body) > 1<<16 {
			return
		}
		b := binary.LittleEndian.AppendUint32([]byte(magic+"\x00\x00\x00\x00"), crc32.Checksum(body, castagnoli))
		b = append(b, header...)
		binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli))
		b = append(b, body...)
		rows, err := decode(b, All)
		if err != nil {
			return
		}
		again, err := decode(encode(t, rows), All)
		if err != nil || !reflect.DeepEqual(rows, again) {
			t.Errorf("%d accepted rows do not survive a round trip: %v", len(rows), err)
		}
	})
}

// FuzzDecodeColumns does the same below the compression, where a fuzzer gets
// further.
func FuzzDecodeColumns(f *testing.F) {
	w, err := NewWriter()
	if err != nil {
		f.Fatal(err)
	}
	if _, err := w.Encode(sample(30), 0); err != nil {
		f.Fatal(err)
	}
	f.Add(30, w.raw)
	f.Fuzz(func(t *testing.T, n int, raw []byte) {
		if n < 1 || n > MaxRows || len(raw) > 1<<16 {
			return
		}
		r, err := NewReader()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		h := Header{Rows: n, MinAt: math.MinInt64, MaxAt: math.MaxInt64, Raw: len(raw), body: w.zw.EncodeAll(raw, nil)}
		h.sum = crc32.Checksum(h.body, castagnoli)
		rows, err := r.Decode(h, All)
		if err == nil && len(rows) != n {
			t.Errorf("accepted %d rows, the header says %d", len(rows), n)
		}
	})
}
