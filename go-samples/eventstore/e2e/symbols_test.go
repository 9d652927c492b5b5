package e2e

import (
	"debug/elf"
	"os/exec"
	"strings"
	"testing"
)

const ingestPath = "probelab.dev/go-samples/eventstore/internal/ingest."

var probed = []string{"RecordSize", "RouteTenant", "SealBlock"}

func TestProbedFunctionsHaveSymbols(t *testing.T) {
	f, err := elf.Open(program(t, "eventstore"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // only read
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]uint64{}
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			sizes[s.Name] = s.Size
		}
	}
	for _, name := range probed {
		if sizes[ingestPath+name] == 0 {
			t.Errorf("%s%s has no function symbol", ingestPath, name)
		}
	}
}

func TestGoToolNmShowsThem(t *testing.T) {
	out, err := exec.Command("go", "tool", "nm", program(t, "eventstore")).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range probed {
		if !strings.Contains(string(out), " T "+ingestPath+name+"\n") {
			t.Errorf("go tool nm does not list %s%s", ingestPath, name)
		}
	}
}

// A function that checks its stack starts again from its first instruction
// after the stack has grown, and a probe there would fire twice for one call.
func TestProbedFunctionsEnterOnce(t *testing.T) {
	out, err := exec.Command("go", "tool", "objdump", "-s", `internal/ingest\.(`+strings.Join(probed, "|")+`)$`,
		program(t, "eventstore")).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range probed {
		if !strings.Contains(string(out), "TEXT "+ingestPath+name+"(SB)") {
			t.Errorf("go tool objdump does not show %s", name)
		}
	}
	if strings.Contains(string(out), "morestack") {
		t.Errorf("a probed function checks its stack:\n%s", out)
	}
}
