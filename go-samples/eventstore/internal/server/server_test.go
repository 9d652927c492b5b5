package server

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"probelab.dev/go-samples/eventstore/internal/event"
	"probelab.dev/go-samples/eventstore/internal/ingest"
	"probelab.dev/go-samples/eventstore/internal/store"
)

func newServer(t *testing.T) (*httptest.Server, *ingest.Ingester) {
	t.Helper()
	st, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in, err := ingest.Open(st, 100, ingest.Always, event.NewJSON())
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(New(in))
	t.Cleanup(func() {
		srv.Close()
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv, in
}

func do(t *testing.T, req *http.Request) (status int, body string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func request(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

const good = `{"id":"a","tenant":"t","kind":"k","at":1,"value":2}`

func TestIngestForms(t *testing.T) {
	for name, tc := range map[string]struct {
		body   string
		events int64
	}{
		"one line":          {good, 1},
		"lines and blanks":  {"\n" + good + "\r\n\n  \n" + good + "\n", 2},
		"array":             {"[" + good + ",\n " + good + "]", 2},
		"array over lines":  {" [\n{\"id\":\n\"a\",\"tenant\":\"t\",\"kind\":\"k\",\"at\":1,\"value\":2}\n]\n", 1},
		"an empty array":    {"[]", 0},
		"nothing":           {"", 0},
		"more than a block": {strings.Repeat(good+"\n", 250), 250},
	} {
		t.Run(name, func(t *testing.T) {
			srv, in := newServer(t)
			status, body := do(t, request(t, "POST", srv.URL+"/ingest", tc.body))
			var got Accepted
			if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 {
				t.Fatalf("%d %s", status, body)
			}
			if int64(got.Accepted) != tc.events || in.Totals().Events != tc.events {
				t.Errorf("accepted %d, stored %d, want %d", got.Accepted, in.Totals().Events, tc.events)
			}
		})
	}
}

func TestBadRequests(t *testing.T) {
	for name, tc := range map[string]struct {
		method, path, body string
		status             int
		want               string
	}{
		"mistake in line 2":     {"POST", "/ingest", good + "\n{}", 400, `line 2: field \"id\" is missing`},
		"mistake in event 2":    {"POST", "/ingest", "[" + good + ",{}]", 400, `event 2: field \"id\" is missing`},
		"two on a line":         {"POST", "/ingest", good + good, 400, "line 1: something follows the event"},
		"array not closed":      {"POST", "/ingest", "[" + good, 400, "expected , or ] after event 1"},
		"array, trailing comma": {"POST", "/ingest", "[" + good + ",]", 400, "event 2: an event must be a JSON object"},
		"after the array":       {"POST", "/ingest", "[" + good + "]" + good, 400, "something follows the array"},
		"too long":              {"POST", "/ingest", strings.Repeat(" ", MaxBody+1), 413, "longer than 8388608 bytes"},
		"bad query":             {"GET", "/query?agg=max", "", 400, "it must be one of count, sum, p95"},
		"bad escape in query":   {"GET", "/query?agg=%zz", "", 400, "invalid URL escape"},
		"wrong method":          {"GET", "/ingest", "", 405, "Method Not Allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			srv, in := newServer(t)
			status, body := do(t, request(t, tc.method, srv.URL+tc.path, tc.body))
			if status != tc.status || !strings.Contains(body, tc.want) {
				t.Errorf("got %d %s\nwant %d %q", status, body, tc.status, tc.want)
			}
			if n := in.Totals().Events; n != 0 {
				t.Errorf("%d events of a refused request were stored", n)
			}
		})
	}
}

func TestCompressedBodyIsRefused(t *testing.T) {
	srv, _ := newServer(t)
	req := request(t, "POST", srv.URL+"/ingest", good)
	req.Header.Set("Content-Encoding", "gzip")
	if status, body := do(t, req); status != 415 || !strings.Contains(body, "uncompressed") {
		t.Errorf("got %d %s", status, body)
	}
}

func TestClosingServerAsksToRetry(t *testing.T) {
	srv, in := newServer(t)
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if status, body := do(t, request(t, "POST", srv.URL+"/ingest", good)); status != 503 || !strings.Contains(body, "shutting down") {
		t.Errorf("got %d %s", status, body)
	}
}

func TestMetricsCount(t *testing.T) {
	srv, _ := newServer(t)
	do(t, request(t, "POST", srv.URL+"/ingest", good))
	do(t, request(t, "POST", srv.URL+"/ingest", "{}"))
	_, body := do(t, request(t, "GET", srv.URL+"/metrics", ""))
	for _, want := range []string{
		"\neventstore_events_total 1\n",
		"\neventstore_raw_bytes_total 51\n",
		"\neventstore_replies_total{path=\"/ingest\",code=\"2xx\"} 1\n",
		"\neventstore_replies_total{path=\"/ingest\",code=\"4xx\"} 1\n",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in:\n%s", want, body)
		}
	}
}
