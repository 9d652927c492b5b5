package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"reflect"
	"strings"
	"testing"
)

func TestMistakesOfUse(t *testing.T) {
	data := t.TempDir()
	for name, tc := range map[string]struct {
		prog string
		args []string
		code int
		want string
	}{
		"no command":         {"eventstore", nil, 2, "name a command"},
		"unknown command":    {"eventstore", []string{"sevre"}, 2, `there is no command "sevre"`},
		"no data":            {"eventstore", []string{"serve"}, 2, "--data is missing"},
		"unknown flag":       {"eventstore", []string{"serve", "--prot", "1"}, 2, "-prot"},
		"block too large":    {"eventstore", []string{"replay", "--data", data, "--block-events", "9000"}, 2, "it must be 1 to 8192"},
		"not loopback":       {"eventstore", []string{"serve", "--data", data, "--addr", "0.0.0.0:0"}, 2, "add --expose if you mean it"},
		"all interfaces":     {"eventstore", []string{"serve", "--data", data, "--addr", ":0"}, 2, "add --expose if you mean it"},
		"no port":            {"eventstore", []string{"serve", "--data", data, "--addr", "127.0.0.1"}, 2, "it must be host:port"},
		"address in use":     {"eventstore", []string{"serve", "--data", data, "--addr", "127.0.0.1:99999"}, 1, "can't listen on 127.0.0.1:99999"},
		"data is a file":     {"eventstore", []string{"serve", "--data", "/dev/null"}, 1, "can't make the data directory"},
		"decoder":            {"eventstore", []string{"serve", "--data", data, "--decoder", "xml"}, 2, "it must be json, per-token or per-event"},
		"compact: negative":  {"eventstore", []string{"serve", "--data", data, "--compact-every", "-1s"}, 2, "it must be 0 or more"},
		"load: format":       {"eventload", []string{"--format", "xml"}, 2, "it must be json or proto"},
		"load: mix":          {"eventload", []string{"--mix", "both"}, 2, "it must be train or test"},
		"load: other host":   {"eventload", []string{"--addr", "192.0.2.1:80"}, 2, "only a store on this machine"},
		"load: no requests":  {"eventload", []string{"--requests", "0"}, 2, "it must be at least 1"},
		"load: nobody there": {"eventload", []string{"--addr", "127.0.0.1:1", "--requests", "2"}, 1, "2 of 2 requests failed"},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr strings.Builder
			cmd := exec.Command(program(t, tc.prog), tc.args...)
			cmd.Stderr = &stderr
			err := cmd.Run()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != tc.code || !strings.Contains(stderr.String(), tc.want) {
				t.Errorf("got %v\n%s\nwant exit %d and %q", err, stderr.String(), tc.code, tc.want)
			}
		})
	}
}

func replay(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return exec.Command(program(t, "eventstore"), append([]string{"replay"}, args...)...)
}

func line(tenant string, value int) string {
	return fmt.Sprintf(`{"id":"i","tenant":"%s","kind":"k","at":1,"value":%d}`, tenant, value)
}

// A caller can feed one event, see it handled, and only then decide on the next.
func TestReplayHandlesALineAtATime(t *testing.T) {
	cmd := replay(t, "--data", t.TempDir(), "--ack")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(pipe)
	expect := func(want string) {
		t.Helper()
		if got, err := out.ReadString('\n'); err != nil || got != want+"\n" {
			t.Fatalf("got %q (%v), want %q", got, err, want)
		}
	}
	expect("ready")
	for i := 1; i <= 3; i++ {
		if _, err := fmt.Fprintln(in, line("t", i)); err != nil {
			t.Fatal(err)
		}
		expect(fmt.Sprint(i))
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestReplaySummary(t *testing.T) {
	var lines []string
	raw := map[string]int{}
	for i := range 25 {
		tenant := []string{"acme", "acme", "globex"}[i%3]
		lines = append(lines, line(tenant, i))
		raw[tenant] += len(lines[i])
	}
	cmd := replay(t, "--data", t.TempDir(), "--block-events", "4")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	type tenant struct {
		Shard, Events int
		Bytes         int `json:"raw_bytes"`
	}
	var got struct {
		Events, Blocks int
		Raw            int               `json:"raw_bytes"`
		Stored         int               `json:"stored_bytes"`
		Tenants        map[string]tenant `json:"by_tenant"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(string(out), "ready\n")), &got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// FNV-1a of the names: shards 7 and 6. 17 and 8 events in blocks of 4: 5 and 2.
	want := map[string]tenant{"acme": {7, 17, raw["acme"]}, "globex": {6, 8, raw["globex"]}}
	if !reflect.DeepEqual(got.Tenants, want) || got.Events != 25 || got.Blocks != 7 || got.Raw != raw["acme"]+raw["globex"] || got.Stored <= 0 {
		t.Errorf("got %s\nwant %+v in 7 blocks", out, want)
	}
}

func TestReplayStopsAtABadLine(t *testing.T) {
	data := t.TempDir()
	cmd := replay(t, "--data", data)
	cmd.Stdin = strings.NewReader(line("t", 1) + "\n" + line("t", 2) + "\nnonsense\n" + line("t", 3) + "\n")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Run(); err == nil || !strings.Contains(stderr.String(), "line 3: an event must be a JSON object") {
		t.Errorf("got %v, %s", err, stderr.String())
	}
	if got := start(t, data).query(t, "agg=sum")[""].Value; got != "3" {
		t.Errorf("the two lines before it sum to %q, want 3", got)
	}
}
