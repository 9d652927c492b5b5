package timelimit

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"
)

func TestWhatIsLeftIsPassedOn(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	out := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
	Outgoing(out)
	in := httptest.NewRequest("GET", "/", nil)
	in.Header.Set(Header, out.Header.Get(Header))
	callee, stop, err := Incoming(in, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	there, _ := callee.Deadline()
	here, _ := ctx.Deadline()
	if d := there.Sub(here); d < 0 || d > 50*time.Millisecond {
		t.Errorf("the callee's time ends %v after the caller's", d)
	}
}

func TestWithoutHeader(t *testing.T) {
	ctx, cancel, err := Incoming(httptest.NewRequest("GET", "/", nil), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	if end, ok := ctx.Deadline(); !ok || time.Until(end) < 50*time.Second {
		t.Errorf("ends at %v", end)
	}
}

func TestMistakes(t *testing.T) {
	for _, text := range []string{"0", "-1", "10001", "1s", "x"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set(Header, text)
		if _, _, err := Incoming(r, time.Second); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
