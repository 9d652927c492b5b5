package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"probelab.dev/go-samples/monorepo/internal/record"
	"probelab.dev/go-samples/monorepo/internal/routetest"
)

func encode(t *testing.T, records ...record.Record) string {
	t.Helper()
	enc, err := record.NewEncoder("proto")
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	for i := range records {
		b = enc.Append(b, &records[i])
	}
	return string(b)
}

func TestQuantiles(t *testing.T) {
	s := routetest.New(t, register)
	var all []record.Record
	for i := range 100 {
		all = append(all,
			record.Record{Service: "a", Host: fmt.Sprint("h", i%2), Path: "/x", Status: 200, Micros: int64(i), Bytes: 2},
			record.Record{Service: "b", Host: "h9", Path: "/y", Status: 503, Micros: 5000})
	}
	s.Want("/write", encode(t, all...), 200, `"accepted":200`)
	var got []group
	if err := json.Unmarshal([]byte(s.Want("/quantiles?by=service", "", 200, "[")), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Key != "b" || got[1].Key != "a" || got[1].Count != 100 || got[1].P50 != 49 || got[1].Mean != 49.5 || got[1].Bytes != 200 {
		t.Errorf("%+v", got)
	}
	s.Want("/quantiles?by=host&service=a&n=1", "", 200, `[{"key":"h0","count":50,`)
	s.Want("/quantiles?by=status", "", 200, `[{"key":"5xx","count":100,`)
	s.Want("/quantiles?by=path&service=nobody", "", 200, "[]")
}

func TestTooManySeriesAreCountedTogether(t *testing.T) {
	s := routetest.New(t, register)
	var all []record.Record
	for i := range maxSeries + 50 {
		all = append(all, record.Record{Service: "a", Path: fmt.Sprint(i), Status: 200})
	}
	s.Want("/write", encode(t, all...), 200, "accepted")
	s.Want("/quantiles?by=service&service=other", "", 200, `[{"key":"other","count":50,`)
}

func TestMistakes(t *testing.T) {
	s := routetest.New(t, register)
	s.Want("/write", encode(t, record.Record{Service: "a", Status: 200})+"\x05", 400, "can't be read: unexpected EOF; the 1 records before it are counted")
	s.Want("/quantiles?by=colour", "", 400, "by: ")
	s.Want("/quantiles?n=0", "", 400, "n: ")
}
