// Command busy burns CPU time on order, so that whoever gives the order knows what a profiler
// should see.
//
// Each line on standard input is `MILLISECONDS LEFT RIGHT SEED`: burn so much CPU time, LEFT parts
// of it in left and RIGHT parts in right, in an order drawn from SEED. The answer is `done`.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
)

func init() {
	// The main goroutine stays on the process's first thread, so all work is done by others: a
	// profiler that looks at the first thread only sees nothing.
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
		go func() { done <- work(time.Duration(millis)*time.Millisecond, left, right, seed) }()
		<-done
		fmt.Println("done")
	}
}

// work burns about budget of CPU time.
func work(budget time.Duration, left, right int, x uint64) uint64 {
	deck := make([]bool, left+right)
	for i := range left {
		deck[i] = true
	}
	// How much work that is, from a tenth of it: asking for the time all along would be work of
	// another kind, and samples of it.
	rounds, start := 0, cpuTime()
	for ; cpuTime()-start < budget/10; rounds++ {
		x = round(deck, x)
	}
	for range rounds * 9 {
		x = round(deck, x)
	}
	return x
}

// round plays the deck 250 times, each time in another order: a fixed one could keep step
// with the profiler's clock.
func round(deck []bool, x uint64) uint64 {
	for range 250 {
		for i := range deck {
			x = xorshift(x | 1)
			j := int(x % uint64(i+1))
			deck[i], deck[j] = deck[j], deck[i]
		}
		for _, isLeft := range deck {
			if isLeft {
				x ^= onTheLeft(x)
			} else {
				x ^= onTheRight(x)
			}
		}
	}
	return x
}

//go:noinline
func onTheLeft(x uint64) uint64 {
	y := burn(x)
	return y ^ 1
}

//go:noinline
func onTheRight(x uint64) uint64 {
	y := burn(x)
	return y ^ 2
}

// burn takes some microseconds. Its array gives it a frame of its own on the stack: without one,
// a stack walked by frame pointers would lack burn's caller.
//
//go:noinline
func burn(x uint64) uint64 {
	var box [8]uint64
	for range 2000 {
		x = xorshift(x | 1)
		box[x%8] += x
	}
	return box[x%8]
}

func xorshift(x uint64) uint64 {
	x ^= x << 13
	x ^= x >> 7
	return x ^ x<<17
}

func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
