package server

import (
	"net/http/httptest"
	"strings"
	"testing"

	"probelab.dev/go-samples/eventstore/internal/event"
)

func batch(n int) string {
	var b []byte
	for i := range n {
		b = event.AppendProto(b, &event.Event{ID: "a", Tenant: "t", Kind: "k", At: 1, Value: int64(i)})
	}
	return string(b)
}

func TestProto(t *testing.T) {
	srv, in := newServer(t)
	post := func(body string) (int, string) {
		return do(t, request(t, "POST", srv.URL+"/ingest/proto", body))
	}
	if status, body := post(batch(250)); status != 200 || body != "{\"accepted\":250}\n" || in.Totals().Events != 250 {
		t.Errorf("%d %s", status, body)
	}
	if status, body := post(""); status != 200 || body != "{\"accepted\":0}\n" {
		t.Errorf("nothing: %d %s", status, body)
	}
	status, body := post(batch(3) + "\x12\x02\x0a\x05")
	if status != 400 || !strings.Contains(body, "event 4: the message can't be read") || in.Totals().Events != 250 {
		t.Errorf("a bad event: %d %s", status, body)
	}
	if status, _ := post(strings.Repeat("x", MaxBody+1)); status != 413 {
		t.Errorf("too long: %d", status)
	}
	req := request(t, "POST", srv.URL+"/ingest/proto", batch(1))
	req.Header.Set("Content-Encoding", "gzip")
	if status, body := do(t, req); status != 415 {
		t.Errorf("compressed: %d %s", status, body)
	}
	if _, body := do(t, request(t, "GET", srv.URL+"/query?agg=sum", "")); !strings.Contains(body, `"count":250,"value":31125`) {
		t.Error(body)
	}
}

// With either of the pair, the service answers as with JSON.
func TestOtherDecoders(t *testing.T) {
	_, in := newServer(t)
	for _, newDecoder := range []func() event.Decoder{event.NewPerToken, event.NewPerEvent} {
		srv := httptest.NewServer(NewWith(in, newDecoder))
		before := in.Totals().Events
		for _, tc := range []struct {
			method, path, body string
			status             int
			says               string
		}{
			{"POST", "/ingest", good + "\n" + good, 200, `"accepted":2`},
			{"POST", "/ingest", "[" + good + "]", 200, `"accepted":1`},
			{"POST", "/ingest", good + "\n{", 400, "line 2: expected a field name in quotes"},
			{"POST", "/ingest/proto", batch(2), 200, `"accepted":2`},
			{"GET", "/query?by=kind", "", 200, `"key":"k"`},
			{"GET", "/query?by=colour", "", 400, "error"},
			{"GET", "/metrics", "", 200, `{path="/ingest",code="4xx"} 1`},
			{"GET", "/debug/pprof/goroutine?debug=1", "", 200, "goroutine profile"},
		} {
			if status, body := do(t, request(t, tc.method, srv.URL+tc.path, tc.body)); status != tc.status || !strings.Contains(body, tc.says) {
				t.Errorf("%s %s: %d %s", tc.method, tc.path, status, body)
			}
		}
		if got := in.Totals().Events - before; got != 5 {
			t.Errorf("%d events were stored, want 5", got)
		}
		srv.Close()
	}
}
