package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"probelab.dev/go-samples/eventstore/internal/load"
)

// truth reads the load's own requests with encoding/json.
type truth struct {
	Tenant, Kind string
	Value        int64
	Attrs        map[string]string
}

func truths(t *testing.T, mix load.Mix, seed uint64, requests int) (all []truth) {
	t.Helper()
	for i := range requests {
		r := load.Stream{Mix: mix, Seed: seed, Length: requests}.Request(i)
		dec := json.NewDecoder(bytes.NewReader(r.Body))
		for dec.More() {
			var raw json.RawMessage
			if err := dec.Decode(&raw); err != nil {
				t.Fatal(err)
			}
			if raw[0] != '[' {
				raw = slices.Concat([]byte("["), raw, []byte("]"))
			}
			var events []truth
			if err := json.Unmarshal(raw, &events); err != nil {
				t.Fatal(err)
			}
			all = append(all, events...)
		}
	}
	return all
}

func TestAggregatesEqualTheTruth(t *testing.T) {
	const seed, requests = 11, 60
	d := start(t, t.TempDir(), "--block-events", "500")
	out, err := exec.Command(program(t, "eventload"), "--addr", d.addr, "--mix", "test",
		"--seed", fmt.Sprint(seed), "--requests", fmt.Sprint(requests), "--workers", "3").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := truths(t, load.Test, seed, requests)
	var res load.Result
	if err := json.Unmarshal(out, &res); err != nil {
		t.Fatal(err)
	}
	if res.Events != int64(len(all)) || res.Requests != requests || res.Errors != 0 {
		t.Fatalf("%d events were made; the driver says %s", len(all), out)
	}
	for by, key := range map[string]func(truth) string{
		"tenant":      func(e truth) string { return e.Tenant },
		"kind":        func(e truth) string { return e.Kind },
		"attr.region": func(e truth) string { return e.Attrs["region"] },
	} {
		values := map[string][]int64{}
		for _, e := range all {
			values[key(e)] = append(values[key(e)], e.Value)
		}
		for _, agg := range []string{"count", "sum", "p95"} {
			got := d.query(t, "agg="+agg+"&by="+by)
			if len(got) != len(values) {
				t.Errorf("%s by %s: %d groups, want %d", agg, by, len(got), len(values))
			}
			for k, v := range values {
				want := group{k, int64(len(v)), json.Number(fmt.Sprint(aggregateOf(agg, v)))}
				if got[k] != want {
					t.Errorf("%s by %s: got %+v, want %+v", agg, by, got[k], want)
				}
			}
		}
	}
}

func aggregateOf(agg string, v []int64) (n int64) {
	switch agg {
	case "count":
		return int64(len(v))
	case "sum":
		for _, x := range v {
			n += x
		}
		return n
	}
	sorted := slices.Sorted(slices.Values(v))
	for i, x := range sorted {
		if (i+1)*100 >= 95*len(sorted) {
			return x
		}
	}
	return 0
}

// Each batch has a kind of its own, so a query by kind says what is left of it.
func batch(n, size int) string {
	var b strings.Builder
	for i := range size {
		fmt.Fprintf(&b, `{"id":"%d","tenant":"t%d","kind":"batch-%d","at":%d,"value":1}`+"\n", i, i%5, n, i)
	}
	return b.String()
}

func TestKillLosesNothingAcknowledged(t *testing.T) {
	const size = 40
	data := t.TempDir()
	d := start(t, data, "--block-events", "64")
	var mu sync.Mutex
	sent, acked := 0, map[int]bool{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				mu.Lock()
				n := sent
				sent++
				mu.Unlock()
				resp, err := http.Post("http://"+d.addr+"/ingest", "", strings.NewReader(batch(n, size)))
				if err != nil {
					return // killed
				}
				_ = resp.Body.Close() // the status is what counts
				if resp.StatusCode == 200 {
					mu.Lock()
					acked[n] = true
					mu.Unlock()
				}
			}
		})
	}
	deadline := time.Now().Add(20 * time.Second)
	for enough := false; !enough; time.Sleep(5 * time.Millisecond) {
		mu.Lock()
		enough = len(acked) >= 60
		mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatal("no 60 batches within 20 s")
		}
	}
	d.stop(t, syscall.SIGKILL)
	wg.Wait()

	got := start(t, data, "--block-events", "64").query(t, "by=kind")
	for n := range sent {
		count := got[fmt.Sprintf("batch-%d", n)].Count
		if acked[n] && count != size {
			t.Errorf("batch %d was acknowledged; %d of its %d events are left", n, count, size)
		}
		if count != 0 && count != size {
			t.Errorf("batch %d is there in part: %d of %d", n, count, size)
		}
	}
}

func TestStopSealsAndExitsZero(t *testing.T) {
	data := t.TempDir()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		d := start(t, data)
		resp, err := http.Post("http://"+d.addr+"/ingest", "", strings.NewReader(batch(1, 10)))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // the count below says whether it arrived
		if code := d.stop(t, sig); code != 0 {
			t.Errorf("%v: exit code %d\n%s", sig, code, d.stderr.String())
		}
		if want := "stopped: 10 events stored, 5 blocks sealed\n"; d.stderr.String() != want {
			t.Errorf("%v: said %q, want %q", sig, d.stderr.String(), want)
		}
	}
	if got := start(t, data).query(t, "by=kind")["batch-1"].Count; got != 20 {
		t.Errorf("%d events are left of 20", got)
	}
}
