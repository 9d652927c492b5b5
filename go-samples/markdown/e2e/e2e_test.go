// Package e2e tests the built programs from outside.
package e2e

import (
	"strings"
	"syscall"
	"testing"

	"probelab.dev/go-samples/kit/servicetest"
)

func TestMain(m *testing.M) { servicetest.Main(m) }

func TestLoadIsRendered(t *testing.T) {
	for _, mix := range []string{"train", "test"} {
		d := servicetest.Start(t, "markdown", "serve")
		first := d.Load(t, "markdownload", "--mix", mix, "--requests", "80", "--workers", "3")
		again := d.Load(t, "markdownload", "--mix", mix, "--requests", "80", "--workers", "1")
		if first.Requests != 80 || first.Bytes == 0 || first.Received <= first.Bytes {
			t.Errorf("%s: %+v", mix, first)
		}
		if first.Bytes != again.Bytes || first.Received != again.Received {
			t.Errorf("%s: the same stream gave %+v and %+v", mix, first, again)
		}
		_, counters := d.Get(t, "/metrics")
		if want := `markdown_replies_total{path="/render",code="2xx"} 160`; !strings.Contains(counters, want) {
			t.Errorf("%s: no %s in\n%s", mix, want, counters)
		}
		if code := d.Stop(t, syscall.SIGTERM); code != 0 {
			t.Errorf("exit %d\n%s", code, d.Stderr())
		}
	}
}

func TestMistakesAreAnswered(t *testing.T) {
	d := servicetest.Start(t, "markdown", "serve")
	if status, body := d.Post(t, "/render", "\xff"); status != 400 || !strings.HasPrefix(body, `{"error":`) {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := d.Get(t, "/render"); status != 405 {
		t.Errorf("GET /render: %d", status)
	}
	if code := d.Stop(t, syscall.SIGINT); code != 0 {
		t.Errorf("exit %d\n%s", code, d.Stderr())
	}
}

func TestMistakesOfUse(t *testing.T) {
	servicetest.Mistakes(t, map[string]servicetest.Mistake{
		"no command":         {Program: "markdown", Code: 2, Says: "name a command"},
		"not loopback":       {Program: "markdown", Args: []string{"serve", "--addr", ":0"}, Code: 2, Says: "add --expose if you mean it"},
		"no such port":       {Program: "markdown", Args: []string{"serve", "--addr", "127.0.0.1:99999"}, Code: 1, Says: "can't listen on"},
		"load: mix":          {Program: "markdownload", Args: []string{"--mix", "both"}, Code: 2, Says: "train or test"},
		"load: nobody there": {Program: "markdownload", Args: []string{"--addr", "127.0.0.1:1", "--requests", "2"}, Code: 1, Says: "2 of 2 requests failed"},
	})
}
