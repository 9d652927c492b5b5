// Command busy burns CPU time on order in four functions, of which each has its frame in another state.
//
// Each line on standard input is `MILLISECONDS LEFT RIGHT SEED`: burn so much CPU time, LEFT parts of
// it called by the functions on the left and RIGHT parts by those on the right, in an order drawn from
// SEED. The answer is `done`.
package main

import (
	"bufio"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"syscall"
	"time"
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
		go func() { done <- work(time.Duration(millis)*time.Millisecond, left, right, seed) }()
		<-done
		fmt.Println("done")
	}
}

// work burns about budget of CPU time.
//
//go:noinline
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

// round plays the deck 25 times, each time in another order: a fixed one could keep step with the
// profiler's clock.
//
//go:noinline
func round(deck []bool, x uint64) uint64 {
	for range 25 {
		for i := range deck {
			x = xorshift(x | 1)
			j := int(x % uint64(i+1))
			deck[i], deck[j] = deck[j], deck[i]
		}
		for _, isLeft := range deck {
			if isLeft {
				x ^= framelessLeft(x) ^ begunLeft(x) ^ linkedLeft(x) ^ framedLeft(x)
			} else {
				x ^= framelessRight(x) ^ begunRight(x) ^ linkedRight(x) ^ framedRight(x)
			}
		}
	}
	return x
}

// frameless has no frame: all that it needs is in registers.
//
//go:noinline
func frameless(x uint64) uint64 {
	for range 1500 {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

//go:noinline
func framelessLeft(x uint64) uint64 { return frameless(x) + 1 }

//go:noinline
func framelessRight(x uint64) uint64 { return frameless(x) + 2 }

// begun has stored its caller's frame pointer, and has not set its own: a state that each function with
// a frame is in for an instruction, and this one for as long as the others work. Its code and that of its
// callers is in frames_GOARCH.s.
//
//lint:ignore U1000 called in assembly
func begun(x uint64) uint64
func begunLeft(x uint64) uint64
func begunRight(x uint64) uint64

// linked has set its frame pointer, and has nothing else on its stack.
//
//lint:ignore U1000 called in assembly
func linked(x uint64) uint64
func linkedLeft(x uint64) uint64
func linkedRight(x uint64) uint64

// framed has a whole frame. What lies at its end is data, some of which looks like return addresses.
//
//go:noinline
func framed(x uint64) uint64 {
	var box [8]uint64
	for i := range uint64(300) {
		x = xorshift(x | 1)
		if i%2 == 0 {
			box[x%8] = x
		} else {
			box[x%8] = code
		}
		x += box[(x>>3)%8]
	}
	return x
}

//go:noinline
func framedLeft(x uint64) uint64 { return framed(x) + 1 }

//go:noinline
func framedRight(x uint64) uint64 { return framed(x) + 2 }

// code is an address of code.
var code = uint64(reflect.ValueOf(decoy).Pointer()) + 8

//go:noinline
func decoy(x uint64) uint64 { return xorshift(x) * 3 }

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
