package page

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/orchestrator/internal/api"
	"probelab.dev/go-samples/orchestrator/internal/fanout"
)

var answers = map[string]string{
	api.Catalogue: `[{"id":1,"name":"lamp","category":["home","lamps"],"images":["/a","/b"],"description":"bright"},{"id":2,"name":"chair"}]`,
	api.Prices:    `[{"id":1,"currency":"EUR","cents":1000,"promotions":[{"code":"A","percent_off":10},{"code":"B","percent_off":20},{"code":"C","percent_off":90,"min_cents":2000}]}]`,
	api.Stock:     `[{"id":1,"warehouses":[{"code":"N","units":0,"days":1},{"code":"S","units":3,"days":4},{"code":"W","units":2,"days":2}]}]`,
	api.Reviews:   `[{"id":1,"reviews":[{"stars":4,"helpful":1,"author":"x"},{"stars":5,"helpful":9,"author":"y"},{"stars":1,"helpful":5,"author":"z"}]}]`,
}

// pages serves from backends that answer, except for those that sick handles.
func pages(t *testing.T, sick map[string]http.HandlerFunc) *service.Routes {
	t.Helper()
	r := service.NewRoutes("x")
	backends := map[string]*fanout.Backend{}
	for _, name := range api.Names {
		h := sick[name]
		if h == nil {
			h = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answers[name]) }
		}
		srv := httptest.NewServer(h)
		t.Cleanup(srv.Close)
		backends[name] = fanout.NewBackend(name, srv.URL, srv.Client(), 99, r)
	}
	Register(r, backends, 5*time.Second)
	return r
}

func get(r *service.Routes, path string) (int, string) {
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestProductIsMerged(t *testing.T) {
	status, body := get(pages(t, nil), "/product?ids=1&reviews=2")
	var got Page
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 {
		t.Fatalf("%d %v %s", status, err, body)
	}
	want := Page{Items: []Item{{ID: 1, Name: "lamp", Category: "home > lamps", Image: "/a", Description: "bright",
		Offer:    &Offer{"EUR", 1000, 800, "B"},
		Delivery: &Delivery{5, 2, "W"},
		Rating:   &Rating{3.3, 3, []api.Review{{Author: "y", Stars: 5, Helpful: 9}, {Author: "z", Stars: 1, Helpful: 5}}},
	}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %s\nwant %+v", body, want)
	}
}

func TestListingKeepsItsOrderAndLeavesOutTheUnknown(t *testing.T) {
	status, body := get(pages(t, nil), "/listing?ids=2,9,1")
	var got Page
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 {
		t.Fatalf("%d %v %s", status, err, body)
	}
	if len(got.Items) != 2 || got.Items[0].ID != 2 || got.Items[1].ID != 1 || got.Items[0].Offer != nil || got.Items[1].Description != "" {
		t.Error(body)
	}
}

func TestSickBackends(t *testing.T) {
	broken := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) }
	hangs := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, tc := range map[string]struct {
		sick   map[string]http.HandlerFunc
		status int
		says   string
	}{
		"one fails":         {map[string]http.HandlerFunc{api.Stock: broken}, 200, `"partial":["stock"]`},
		"one is late":       {map[string]http.HandlerFunc{api.Reviews: hangs}, 200, `"partial":["reviews"]`},
		"three fail":        {map[string]http.HandlerFunc{api.Prices: broken, api.Stock: broken, api.Reviews: hangs}, 200, `"partial":["prices","stock","reviews"]`},
		"catalogue fails":   {map[string]http.HandlerFunc{api.Catalogue: broken}, 502, "catalogue: it answered 500"},
		"catalogue is late": {map[string]http.HandlerFunc{api.Catalogue: hangs}, 504, "catalogue: it did not answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			path := "/product?ids=1"
			if strings.Contains(name, "late") || strings.Contains(name, "three") {
				path += "&timeout_ms=800"
			}
			start := time.Now()
			status, body := get(pages(t, tc.sick), path)
			if status != tc.status || !strings.Contains(body, tc.says) {
				t.Errorf("%d %s\nwant %d %s", status, body, tc.status, tc.says)
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("it took %v of 800 ms", took)
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	r := pages(t, nil)
	for path, want := range map[string]string{
		"/product":                     "ids: ",
		"/product?ids=1,2":             "/listing takes more",
		"/product?ids=1&currency=XXX":  "currency: ",
		"/product?ids=1&reviews=21":    "reviews: ",
		"/product?ids=1&timeout_ms=0":  "timeout_ms: ",
		"/listing?ids=1,x":             "not a product's number",
		"/listing?ids=1&timeout_ms=1h": "timeout_ms: ",
	} {
		if status, body := get(r, path); status != 400 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, body := get(r, "/product?ids=3"); status != 404 || !strings.Contains(body, "there is no product 3") {
		t.Errorf("%d %s", status, body)
	}
}

func TestTooManyAtATimeAreRefused(t *testing.T) {
	p := &Pages{room: make(chan struct{}, 1)}
	p.room <- struct{}{}
	r := service.NewRoutes("x")
	p.limit = time.Second
	r.Handle("GET /product", func(w http.ResponseWriter, req *http.Request) error { return p.serve(w, req, true) })
	if status, body := get(r, "/product?ids=1"); status != 503 || !strings.Contains(body, "ask again later") {
		t.Errorf("%d %s", status, body)
	}
}
