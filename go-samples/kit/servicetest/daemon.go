// Package servicetest tests the built programs of a sample from outside.
package servicetest

import (
	"bufio"
	"encoding/json"
	"errors"
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

	"probelab.dev/go-samples/kit/load"
)

// bin is the folder of the built programs.
var bin string

// Main is TestMain's work in a package e2e that lies beside cmd.
func Main(m *testing.M) { os.Exit(runIn(m)) }

func runIn(m *testing.M) int {
	dir, err := os.MkdirTemp("", "probelab-e2e-")
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
	// Without debug information they are linked in half the time.
	if out, err := exec.Command("go", "build", "-ldflags=-w", "-o", bin+"/", "../cmd/...").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
})

// Program returns the path of a built program.
func Program(t *testing.T, name string) string {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(bin, name)
}

// Daemon is a running service.
type Daemon struct {
	Addr   string
	cmd    *exec.Cmd
	stderr strings.Builder
	waited bool
}

// Start starts a service with a free port; it is killed at the end of the test
// unless it was stopped before.
func Start(t *testing.T, program, command string, args ...string) *Daemon {
	t.Helper()
	d := &Daemon{}
	d.cmd = exec.Command(Program(t, program), append([]string{command, "--addr", "127.0.0.1:0"}, args...)...)
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
			d.Stop(t, syscall.SIGKILL)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no line from the service: %v\n%s", err, d.stderr.String())
	}
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		t.Fatalf("the service said %q", line)
	}
	d.Addr = addr
	return d
}

// Stop signals the service, waits for it and returns its exit code (-1 when killed).
func (d *Daemon) Stop(t *testing.T, sig syscall.Signal) int {
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

// Pid is the service's process id.
func (d *Daemon) Pid() int { return d.cmd.Process.Pid }

// Stderr is what the service said there; read it after Stop.
func (d *Daemon) Stderr() string { return d.stderr.String() }

// Get returns the status and body of a GET.
func (d *Daemon) Get(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := http.Get("http://" + d.Addr + path)
	return read(t, resp, err)
}

// Post returns the status and body of a POST.
func (d *Daemon) Post(t *testing.T, path, body string) (int, string) {
	t.Helper()
	resp, err := http.Post("http://"+d.Addr+path, "", strings.NewReader(body))
	return read(t, resp, err)
}

func read(t *testing.T, resp *http.Response, err error) (int, string) {
	t.Helper()
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
	return resp.StatusCode, string(body)
}

// Load runs a load driver against the service and returns what it did; a
// failed request fails the test.
func (d *Daemon) Load(t *testing.T, program string, args ...string) load.Result {
	t.Helper()
	cmd := exec.Command(Program(t, program), append([]string{"--addr", d.Addr}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", program, err, out, stderr.String())
	}
	var res load.Result
	if err := json.Unmarshal(out, &res); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return res
}

// Mistake is a wrong use of a program, its exit code and what it must say.
type Mistake struct {
	Program string
	Args    []string
	Code    int
	Says    string
}

// Mistakes runs each and compares.
func Mistakes(t *testing.T, all map[string]Mistake) {
	t.Helper()
	for name, tc := range all {
		t.Run(name, func(t *testing.T) {
			var stderr strings.Builder
			cmd := exec.Command(Program(t, tc.Program), tc.Args...)
			cmd.Stderr = &stderr
			err := cmd.Run()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != tc.Code || !strings.Contains(stderr.String(), tc.Says) {
				t.Errorf("got %v\n%s\nwant exit %d and %q", err, stderr.String(), tc.Code, tc.Says)
			}
		})
	}
}
