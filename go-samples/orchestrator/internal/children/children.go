// Package children runs the backends as processes of their own, beside the
// orchestrator: its CPU time is then its own.
package children

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Child is a running backend.
type Child struct {
	// Base is where it answers, such as http://127.0.0.1:40123.
	Base  string
	cmd   *exec.Cmd
	input io.Closer
}

// Start runs this program once more as the backend of a kind.
func Start(kind string) (*Child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("can't find this program to start its backends: %w", err)
	}
	c := &Child{cmd: exec.Command(self, "backend", "--kind", kind, "--addr", "127.0.0.1:0", "--until-input-ends")}
	c.cmd.Stderr = os.Stderr
	// In a group of its own: Ctrl-C in a terminal must not stop the backends
	// before the requests under way are answered.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Its input ends when this process does, however that comes about.
	if c.input, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("can't start the backend %s: %w", kind, err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		return nil, errors.Join(fmt.Errorf("the backend %s said %q (%v) and not where it listens", kind, line, err), c.Stop())
	}
	c.Base = "http://" + addr
	return c, nil
}

// Stop ends it and waits for that.
func (c *Child) Stop() error {
	timer := time.AfterFunc(15*time.Second, func() { _ = c.cmd.Process.Kill() }) // it may just have ended
	defer timer.Stop()
	return errors.Join(c.input.Close(), c.cmd.Wait())
}
