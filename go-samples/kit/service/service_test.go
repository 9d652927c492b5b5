package service

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAddresses(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:0":    "",
		"[::1]:80":       "",
		"localhost:80":   "",
		":80":            "add --expose if you mean it",
		"0.0.0.0:80":     "add --expose if you mean it",
		"example.org:80": "add --expose if you mean it",
		"127.0.0.1":      "it must be host:port",
	} {
		if err := checkAddr(addr, false); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", addr, err, want)
		}
	}
	if err := checkAddr("0.0.0.0:80", true); err != nil {
		t.Errorf("exposed on purpose: %v", err)
	}
}

func TestMistakesOfUse(t *testing.T) {
	commands := []Command{{Name: "serve", New: func(*flag.FlagSet) Build {
		return func(*Routes) (func() error, error) { return nil, nil }
	}}}
	for want, args := range map[string][]string{
		"name a command":                {},
		`there is no command "sevre"`:   {"sevre"},
		"-prot":                         {"serve", "--prot", "1"},
		`"extra" is not a flag`:         {"serve", "extra"},
		"it must be host:port":          {"serve", "--addr", "here"},
		"can be reached from other mac": {"serve", "--addr", "0.0.0.0:0"},
	} {
		err := run(t.Context(), "sample", commands, args, io.Discard)
		if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", args, err, want)
		}
	}
}

// A stop signal lets the request under way be answered.
func TestStopAnswersWhatIsUnderWay(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	entered, finish := make(chan bool), make(chan bool)
	stopped := false
	commands := []Command{{Name: "serve", New: func(*flag.FlagSet) Build {
		return func(r *Routes) (func() error, error) {
			r.Handle("GET /slow", func(w http.ResponseWriter, _ *http.Request) error {
				entered <- true
				<-finish
				return JSON(w, "done")
			})
			return func() error { stopped = true; return nil }, nil
		}
	}}}
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, "sample", commands, []string{"serve", "--addr", "127.0.0.1:0"}, in) }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	reply := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + addr + "/slow")
		if err != nil {
			reply <- err.Error()
			return
		}
		body, _ := io.ReadAll(resp.Body) // what was read is compared
		_ = resp.Body.Close()            // read to its end
		reply <- string(body)
	}()
	<-entered
	cancel()
	for { // until it has stopped listening
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			break
		}
		_ = conn.Close() // only tried
	}
	select {
	case err := <-ended:
		t.Fatalf("it ended (%v) before the request was answered", err)
	case finish <- true:
	}
	if got := <-reply; got != "\"done\"\n" {
		t.Errorf("got %q", got)
	}
	if err := <-ended; err != nil || !stopped {
		t.Errorf("ended with %v, stopped: %v", err, stopped)
	}
}

func sample() *Routes {
	r := NewRoutes("sample")
	r.Handle("POST /body", func(w http.ResponseWriter, req *http.Request) error {
		body, err := Body(w, req, 8)
		if err != nil {
			return err
		}
		return JSON(w, len(body))
	})
	r.Handle("POST /json", func(w http.ResponseWriter, req *http.Request) error {
		var v struct{ N int }
		if err := ReadJSON(w, req, 16, &v); err != nil {
			return err
		}
		return JSON(w, v.N)
	})
	r.Handle("POST /broken", func(http.ResponseWriter, *http.Request) error { return errors.New("out of ink") })
	return r
}

func TestReplies(t *testing.T) {
	r := sample()
	for _, tc := range []struct {
		path, body, encoding string
		status               int
		want                 string
	}{
		{"/body", "12345678", "", 200, "8"},
		{"/body", "123456789", "", 413, `{"error":"the body is longer than 8 bytes"}`},
		{"/body", "1", "gzip", 415, "uncompressed"},
		{"/json", `{"N":3}`, "", 200, "3"},
		{"/json", `{"N":3}1`, "", 400, "something after"},
		{"/json", `{"M":3}`, "", 400, `unknown field \"M\"`},
		{"/json", ``, "", 400, "EOF"},
		{"/json", `{"N":           3}`, "", 413, "longer than 16 bytes"},
		{"/json", `{"N":3}`, "br", 415, "uncompressed"},
		{"/broken", "", "", 500, "out of ink"},
		{"/nowhere", "", "", 404, "not found"},
	} {
		req := httptest.NewRequest("POST", tc.path, strings.NewReader(tc.body))
		req.Header.Set("Content-Encoding", tc.encoding)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.want) {
			t.Errorf("%s %q: got %d %s, want %d %q", tc.path, tc.body, w.Code, w.Body, tc.status, tc.want)
		}
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, c := range []struct {
		path, code string
		n          int
	}{{"/body", "2xx", 1}, {"/body", "4xx", 2}, {"/json", "4xx", 5}, {"/broken", "5xx", 1}} {
		want := fmt.Sprintf("sample_replies_total{path=%q,code=%q} %d\n", c.path, c.code, c.n)
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in\n%s", want, w.Body)
		}
	}
}

func TestProfilesAreServed(t *testing.T) {
	w := httptest.NewRecorder()
	sample().ServeHTTP(w, httptest.NewRequest("GET", "/debug/pprof/profile?seconds=1&hz=400", nil))
	// A pprof file is gzip.
	if w.Code != 200 || !strings.HasPrefix(w.Body.String(), "\x1f\x8b") {
		t.Errorf("got %d and %d bytes", w.Code, w.Body.Len())
	}
}
