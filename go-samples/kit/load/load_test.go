package load

import (
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

func numbered(m Mix, r *rand.Rand, k int) Request {
	return Request{Path: "/", Body: []byte(string(m) + strconv.Itoa(k) + strconv.FormatUint(r.Uint64(), 16))}
}

func drive(t *testing.T, h http.HandlerFunc, maker Maker, args ...string) (int, Result, string) {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	var out, errs strings.Builder
	args = append([]string{"--addr", strings.TrimPrefix(srv.URL, "http://")}, args...)
	code := run(t.Context(), "sampleload", nil, func() (Maker, error) { return maker, nil }, args, &out, &errs)
	var res Result
	if err := json.Unmarshal([]byte(out.String()), &res); err != nil {
		t.Fatalf("%v: %q %s", err, out.String(), errs.String())
	}
	return code, res, errs.String()
}

func TestSendsTheStreamOnce(t *testing.T) {
	var sum atomic.Int64
	take := func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		h := int64(0)
		for _, b := range body {
			h = h*31 + int64(b)
		}
		sum.Add(h)
	}
	totals := map[string]int64{}
	for _, workers := range []string{"1", "7"} {
		sum.Store(0)
		code, res, said := drive(t, take, numbered, "--requests", "40", "--seed", "5", "--mix", "test", "--workers", workers)
		if code != 0 || res.Requests != 40 || res.Errors != 0 || res.Mix != Test || res.Seed != 5 || res.Bytes < 40*6 {
			t.Errorf("exit %d, %+v\n%s", code, res, said)
		}
		totals[workers] = sum.Load()
	}
	if totals["1"] != totals["7"] {
		t.Error("one worker and seven sent different bytes")
	}
}

func TestAFailedRequestIsCounted(t *testing.T) {
	var n atomic.Int64
	answer := func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 3 {
			http.Error(w, "no more", http.StatusTeapot)
		}
	}
	code, res, said := drive(t, answer, numbered, "--requests", "10")
	if code != 1 || res.Errors != 1 || !strings.Contains(said, "1 of 10 requests failed") || !strings.Contains(said, "no more") {
		t.Errorf("exit %d, %+v\n%s", code, res, said)
	}
	wrong := func(m Mix, r *rand.Rand, k int) Request {
		req := numbered(m, r, k)
		req.Check = func([]byte) error { return errors.New("not that") }
		return req
	}
	code, res, said = drive(t, func(http.ResponseWriter, *http.Request) {}, wrong, "--requests", "4")
	if code != 1 || res.Errors != 4 || !strings.Contains(said, "not that") {
		t.Errorf("exit %d, %+v\n%s", code, res, said)
	}
}

func TestSecondsRepeatTheStream(t *testing.T) {
	_, res, _ := drive(t, func(http.ResponseWriter, *http.Request) {}, numbered, "--requests", "2", "--seconds", "0.2")
	if res.Requests <= 2 || res.Seconds < 0.2 {
		t.Errorf("%+v", res)
	}
	s := Stream{Train, 1, 3, numbered}
	if string(s.Request(1).Body) != string(s.Request(4).Body) {
		t.Error("a later lap differs")
	}
}

func TestMistakesOfUse(t *testing.T) {
	for want, args := range map[string][]string{
		"it must be train or test":      {"--mix", "both"},
		"it must be at least 1":         {"--requests", "0"},
		"it must be 1 to 256":           {"--workers", "0"},
		"it must be 0 to 86400":         {"--seconds", "-1"},
		"it must be host:port":          {"--addr", "here"},
		"only a service on this machin": {"--addr", "192.0.2.1:80"},
		`"x" is not a flag`:             {"x"},
		"-sed":                          {"--sed", "1"},
	} {
		var errs strings.Builder
		code := run(t.Context(), "sampleload", nil, func() (Maker, error) { return numbered, nil }, args, io.Discard, &errs)
		if code != 2 || !strings.Contains(errs.String(), want) {
			t.Errorf("%q: exit %d, %s, want %q", args, code, errs.String(), want)
		}
	}
}
