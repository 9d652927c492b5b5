// Package e2e tests the built programs from outside.
package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"probelab.dev/go-samples/kit/servicetest"
	"probelab.dev/go-samples/orchestrator/internal/api"
)

func TestMain(m *testing.M) { servicetest.Main(m) }

func TestLoadIsAnsweredWhole(t *testing.T) {
	for _, mix := range []string{"train", "test"} {
		d := servicetest.Start(t, "orchestrator", "serve")
		first := d.Load(t, "orchestratorload", "--mix", mix, "--requests", "100", "--workers", "3")
		again := d.Load(t, "orchestratorload", "--mix", mix, "--requests", "100", "--workers", "1")
		if first.Requests != 100 || first.Received == 0 || first.Received != again.Received {
			t.Errorf("%s: the same stream gave %+v and %+v", mix, first, again)
		}
		_, counters := d.Get(t, "/metrics")
		for _, backend := range api.Names {
			want := `orchestrator_backend_calls_total{backend="` + backend + `",outcome="ok"} 200`
			if !strings.Contains(counters, want) || !strings.Contains(counters, `orchestrator_error_budget_left{backend="`+backend+`"} 1`) {
				t.Errorf("%s: no %s in\n%s", mix, want, counters)
			}
		}
		if code := d.Stop(t, syscall.SIGTERM); code != 0 || d.Stderr() != "" {
			t.Errorf("exit %d\n%s", code, d.Stderr())
		}
	}
}

// backends starts the four, each with its own options.
func backends(t *testing.T, options map[string][]string) string {
	t.Helper()
	var urls []string
	for _, kind := range api.Names {
		d := servicetest.Start(t, "orchestrator", "backend", append([]string{"--kind", kind}, options[kind]...)...)
		urls = append(urls, "http://"+d.Addr)
	}
	return strings.Join(urls, ",")
}

func TestASlowAndAFailingBackend(t *testing.T) {
	urls := backends(t, map[string][]string{
		api.Reviews: {"--delay", "5s"},
		api.Prices:  {"--fail-percent", "100"},
	})
	d := servicetest.Start(t, "orchestrator", "serve", "--backends", urls, "--objective", "90")
	start := time.Now()
	status, body := d.Get(t, "/product?ids=5&timeout_ms=900")
	if status != 200 || !strings.Contains(body, `"partial":["prices","reviews"]`) || !strings.Contains(body, `"delivery":{`) {
		t.Errorf("%d %s", status, body)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %v of 900 ms", took)
	}
	_, counters := d.Get(t, "/metrics")
	for _, want := range []string{
		`orchestrator_partial_answers_total 1`,
		`orchestrator_backend_calls_total{backend="reviews",outcome="late"} 1`,
		`orchestrator_backend_calls_total{backend="prices",outcome="failed"} 1`,
		`orchestrator_error_budget_left{backend="prices"} -9`,
	} {
		if !strings.Contains(counters, want) {
			t.Errorf("no %s in\n%s", want, counters)
		}
	}
}

// stat returns the state and the parent of a process, as in proc(5).
func stat(pid int) (state string, parent int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0 // it has ended
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	_, _ = fmt.Sscan(rest, &state, &parent) // nothing is read of a process that ends now
	return state, parent
}

// children returns the processes that a process has started.
func children(t *testing.T, pid int) (pids []int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		child, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			t.Fatal(err)
		}
		if _, parent := stat(child); parent == pid {
			pids = append(pids, child)
		}
	}
	return pids
}

// However the orchestrator ends, its backends end too.
func TestBackendsEndWithIt(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		d := servicetest.Start(t, "orchestrator", "serve")
		pids := children(t, d.Pid())
		if len(pids) != 4 {
			t.Fatalf("%d backends run", len(pids))
		}
		d.Stop(t, sig)
		alive := func(pid int) bool {
			state, _ := stat(pid)
			return state != "" && state != "Z" // a zombie has ended, and nobody has asked how
		}
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if !slices.ContainsFunc(pids, alive) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%v: backends live on: %v", sig, pids)
			}
		}
	}
}

func TestMistakesOfUse(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }() // at the end of the test
	servicetest.Mistakes(t, map[string]servicetest.Mistake{
		"three backends":  {Program: "orchestrator", Args: []string{"serve", "--backends", "http://a,http://b,http://c"}, Code: 2, Says: "it must have 4"},
		"not a URL":       {Program: "orchestrator", Args: []string{"serve", "--backends", "a,b,c,d"}, Code: 2, Says: `"a" is not a URL`},
		"no time":         {Program: "orchestrator", Args: []string{"serve", "--timeout", "0s"}, Code: 2, Says: "--timeout is 0s"},
		"perfect":         {Program: "orchestrator", Args: []string{"serve", "--objective", "100"}, Code: 2, Says: "below 100"},
		"backend of what": {Program: "orchestrator", Args: []string{"backend"}, Code: 2, Says: "--kind is"},
		"not loopback":    {Program: "orchestrator", Args: []string{"serve", "--addr", "0.0.0.0:0"}, Code: 2, Says: "add --expose if you mean it"},
		"address in use":  {Program: "orchestrator", Args: []string{"serve", "--addr", busy.Addr().String()}, Code: 1, Says: "can't listen on"},
		"load: nobody":    {Program: "orchestratorload", Args: []string{"--addr", "127.0.0.1:1", "--requests", "2"}, Code: 1, Says: "2 of 2 requests failed"},
	})
}
