package backend

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/orchestrator/internal/api"
	"probelab.dev/go-samples/orchestrator/internal/timelimit"
)

func ask(t *testing.T, o Options, query, limit string) *httptest.ResponseRecorder {
	t.Helper()
	routes := service.NewRoutes("orchestrator")
	if _, err := o.register(routes); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/items?"+query, nil)
	if limit != "" {
		r.Header.Set(timelimit.Header, limit)
	}
	w := httptest.NewRecorder()
	routes.ServeHTTP(w, r)
	return w
}

func TestEachKindAnswersForEachKnownID(t *testing.T) {
	for _, kind := range api.Names {
		query := fmt.Sprintf("ids=7,%d,9&currency=EUR", api.LastID+1)
		first := ask(t, Options{Kind: kind}, query, "")
		var items []struct{ ID int }
		if err := json.Unmarshal(first.Body.Bytes(), &items); err != nil {
			t.Fatal(err)
		}
		if want := []struct{ ID int }{{7}, {9}}; !reflect.DeepEqual(items, want) {
			t.Errorf("%s: %s", kind, first.Body)
		}
		if again := ask(t, Options{Kind: kind}, query, ""); again.Body.String() != first.Body.String() {
			t.Errorf("%s: a second answer differs", kind)
		}
	}
}

func TestMistakes(t *testing.T) {
	for query, want := range map[string]string{
		"":                                 "not a product's number",
		"ids=a":                            `\"a\" is not a product's number`,
		"ids=0":                            "not a product's number",
		"ids=1" + strings.Repeat(",1", 50): "at most 50 products",
	} {
		if w := ask(t, Options{Kind: api.Stock}, query, ""); w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%q: %d %s", query, w.Code, w.Body)
		}
	}
	if w := ask(t, Options{Kind: api.Stock}, "ids=1", "soon"); w.Code != 400 {
		t.Errorf("a bad time limit: %d %s", w.Code, w.Body)
	}
	if _, err := (&Options{Kind: "weather"}).register(service.NewRoutes("x")); err == nil {
		t.Error("there is a backend for weather")
	}
}

func TestMisbehaviour(t *testing.T) {
	o := Options{Kind: api.Prices, Delay: time.Minute}
	if w := ask(t, o, "ids=1", "20"); w.Code != 504 {
		t.Errorf("it worked on after the caller's time: %d %s", w.Code, w.Body)
	}
	o = Options{Kind: api.Prices, FailPercent: 10}
	failed := 0
	for id := 1; id <= 200; id++ {
		if ask(t, o, fmt.Sprintf("ids=%d", id), "").Code == 503 {
			failed++
		}
	}
	if failed != 20 {
		t.Errorf("%d of 200 failed, want 20", failed)
	}
}
