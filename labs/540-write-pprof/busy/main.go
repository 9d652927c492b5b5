// Command busy burns CPU time on order, so that whoever gives the order knows what a profile
// should hold. The work itself is in package work.
//
// Each line on standard input is `MILLISECONDS LEFT RIGHT SEED`: burn so much CPU time, LEFT parts
// of it in work.Left and RIGHT parts in work.Right, in an order drawn from SEED. The answer is
// `done`.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"probelab.dev/labs/write-pprof/busy/work"
)

func init() {
	// The main goroutine stays on the process's first thread, so all work is done by others.
	runtime.LockOSThread()
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var millis, left, right int
		var seed uint64
		if n, err := fmt.Sscan(lines.Text(), &millis, &left, &right, &seed); n != 4 || left < 0 || right < 0 || left+right == 0 {
			fmt.Fprintf(os.Stderr, "busy: %q is not `MILLISECONDS LEFT RIGHT SEED`: %v\n", lines.Text(), err)
			os.Exit(2)
		}
		done := make(chan uint64)
		go func() { done <- burn(time.Duration(millis)*time.Millisecond, left, right, seed) }()
		<-done
		fmt.Println("done")
	}
}

// burn uses about budget of CPU time.
func burn(budget time.Duration, left, right int, x uint64) uint64 {
	// How much work that is, from a tenth of it: asking for the time all along would be work of
	// another kind, and samples of it.
	rounds, start := 0, cpuTime()
	for ; cpuTime()-start < budget/10; rounds++ {
		x = work.Round(left, right, x)
	}
	for range rounds * 9 {
		x = work.Round(left, right, x)
	}
	return x
}

func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
