// Package e2e tests the built programs from outside.
package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var bin string // directory of the built programs

func TestMain(m *testing.M) { os.Exit(runIn(m)) }

func runIn(m *testing.M) int {
	dir, err := os.MkdirTemp("", "eventstore-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // at worst a temporary directory stays behind
	bin = dir
	return m.Run()
}

var build = sync.OnceValue(func() error {
	// The go command reuses a test's result unless something changed that the
	// test itself looked at, and what its child go build reads does not count.
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		return err
	}
	if out, err := exec.Command("go", "build", "-o", bin+"/", "../cmd/...").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
})

// program returns the path of a built program.
func program(t *testing.T, name string) string {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(bin, name)
}

// daemon is a running eventstore serve.
type daemon struct {
	cmd    *exec.Cmd
	addr   string
	stderr strings.Builder
	waited bool
}

func start(t *testing.T, data string, args ...string) *daemon {
	t.Helper()
	d := &daemon{}
	d.cmd = exec.Command(program(t, "eventstore"),
		append([]string{"serve", "--addr", "127.0.0.1:0", "--data", data}, args...)...)
	d.cmd.Stderr = &d.stderr
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !d.waited {
			d.stop(t, syscall.SIGKILL)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no line from the server: %v\n%s", err, d.stderr.String())
	}
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		t.Fatalf("the server said %q", line)
	}
	d.addr = addr
	return d
}

// stop signals the server, waits for it and returns its exit code (-1 when killed).
func (d *daemon) stop(t *testing.T, sig syscall.Signal) int {
	t.Helper()
	d.waited = true
	if err := d.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(30*time.Second, func() { _ = d.cmd.Process.Kill() }) // it may just have ended
	defer timer.Stop()
	_ = d.cmd.Wait() // the exit code says it
	return d.cmd.ProcessState.ExitCode()
}

type group struct {
	Key   string
	Count int64
	Value json.Number
}

// query returns the groups of an answer by their key.
func (d *daemon) query(t *testing.T, params string) map[string]group {
	t.Helper()
	resp, err := http.Get("http://" + d.addr + "/query?" + params)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	var ans struct{ Groups []group }
	if err := json.Unmarshal(body, &ans); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %s %s", params, resp.Status, body)
	}
	groups := map[string]group{}
	for _, g := range ans.Groups {
		groups[g.Key] = g
	}
	return groups
}
