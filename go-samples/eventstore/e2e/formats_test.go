package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"probelab.dev/go-samples/eventstore/internal/event"
)

// The same stream gives the same answers, whatever it came in and was read by.
func TestFormatsAndDecodersAgree(t *testing.T) {
	var want map[string]group
	for _, tc := range [][2]string{{"json", "json"}, {"proto", "json"}, {"json", "per-token"}, {"json", "per-event"}} {
		d := start(t, t.TempDir(), "--block-events", "700", "--decoder", tc[1])
		out, err := exec.Command(program(t, "eventload"), "--addr", d.addr, "--requests", "40", "--seed", "3", "--format", tc[0]).Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", tc, err, out)
		}
		got := d.query(t, "agg=sum&by=attr.status")
		if want == nil {
			want = got
		}
		if len(got) < 3 || !maps.Equal(got, want) {
			t.Errorf("%v: %v, want %v", tc, got, want)
		}
	}
}

// Events of a Batch that no block holds yet are kept as they came, and read
// again after a crash.
func TestKillLosesNoProtoEvent(t *testing.T) {
	data := t.TempDir()
	d := start(t, data)
	body := string(event.AppendProto(nil, &event.Event{ID: "a", Tenant: "t", Kind: "k", At: 1, Value: 5}))
	for path, body := range map[string]string{"/ingest/proto": strings.Repeat(body, 30), "/ingest": batch(0, 20)} {
		resp, err := http.Post("http://"+d.addr+path, "", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // the status is what counts
		if resp.StatusCode != 200 {
			t.Fatalf("%s: %s", path, resp.Status)
		}
	}
	d.stop(t, syscall.SIGKILL)
	got := start(t, data).query(t, "agg=sum&by=kind")
	if got["k"] != (group{"k", 30, "150"}) || got["batch-0"] != (group{"batch-0", 20, "20"}) {
		t.Errorf("%v", got)
	}
}

// small makes a store of many small blocks and returns what is in it.
func small(t *testing.T, data string) map[string]group {
	t.Helper()
	for i := range 4 {
		d := start(t, data)
		resp, err := http.Post("http://"+d.addr+"/ingest", "", strings.NewReader(batch(i, 10)))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // what is left is counted below
		if code := d.stop(t, syscall.SIGTERM); code != 0 {
			t.Fatalf("exit %d\n%s", code, d.stderr.String())
		}
	}
	want := map[string]group{}
	for i := range 4 {
		k := fmt.Sprint("batch-", i)
		want[k] = group{k, 10, "10"}
	}
	return want
}

func TestCompact(t *testing.T) {
	data := t.TempDir()
	want := small(t, data)
	for _, merged := range []int{20, 0} { // 5 shards, 4 blocks each; then nothing is left to do
		out, err := exec.Command(program(t, "eventstore"), "compact", "--data", data).Output()
		var stats struct{ Merged, Written int }
		if err != nil || json.Unmarshal(out, &stats) != nil || stats.Merged != merged || stats.Written != merged/4 {
			t.Errorf("%v %s, want %d merged", err, out, merged)
		}
	}
	if got := start(t, data).query(t, "agg=sum&by=kind"); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestCompactEvery(t *testing.T) {
	data := t.TempDir()
	want := small(t, data)
	d := start(t, data, "--compact-every", "5ms")
	read := func() string {
		resp, err := http.Get("http://" + d.addr + "/query?agg=count")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }() // read to its end
		var ans struct {
			Read int `json:"blocks_read"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&ans); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(ans.Read)
	}
	for deadline := time.Now().Add(20 * time.Second); read() != "5"; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("there are %s blocks, want 5", read())
		}
	}
	if got := d.query(t, "agg=sum&by=kind"); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if code := d.stop(t, syscall.SIGTERM); code != 0 || !strings.Contains(d.stderr.String(), "compaction: 20 blocks became 5, ") {
		t.Errorf("exit %d\n%s", code, d.stderr.String())
	}
}
