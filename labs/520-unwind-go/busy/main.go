// Command busy burns CPU time at the end of a chain of calls that it is told, so that whoever gives
// the order knows what each stack should be.
//
// Each line on standard input is `KIND MILLISECONDS LEFT RIGHT DEPTH SEED`: burn so much CPU time,
// DEPTH calls of descend deep, LEFT parts of it called from onTheLeft and RIGHT parts from onTheRight,
// in an order drawn from SEED. KIND is `compute`, or `read` to have the kernel do the work. The answer
// is `done`.
package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"runtime"
	"syscall"
	"time"
)

func init() {
	// The main goroutine stays on the process's first thread, so all work is done by others.
	runtime.LockOSThread()
}

// task is what there is to do.
type task struct {
	work   func(x uint64) uint64
	budget time.Duration
	// deck has a card for each part: whether it is the left one's.
	deck []bool
	seed uint64
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("busy: ")
	var err error
	if zeros, err = syscall.Open("/dev/zero", syscall.O_RDONLY, 0); err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var kind string
		var millis, left, right, depth int
		var seed uint64
		n, err := fmt.Sscan(lines.Text(), &kind, &millis, &left, &right, &depth, &seed)
		work := map[string]func(uint64) uint64{"compute": burn, "read": drain}[kind]
		if n != 6 || work == nil || left < 0 || right < 0 || left+right == 0 || depth < 1 {
			log.Fatalf("%q is not `KIND MILLISECONDS LEFT RIGHT DEPTH SEED`: %v", lines.Text(), err)
		}
		deck := make([]bool, left+right)
		for i := range left {
			deck[i] = true
		}
		job := &task{work, time.Duration(millis) * time.Millisecond, deck, seed}
		done := make(chan uint64)
		go func() { done <- descend(job, depth) }()
		<-done
		fmt.Println("done")
	}
}

// descend calls itself until it is depth calls deep.
//
//go:noinline
func descend(job *task, depth int) uint64 {
	if depth > 1 {
		return descend(job, depth-1) + 1
	}
	return play(job) + 1
}

// play burns about the budget of CPU time.
//
//go:noinline
func play(job *task) uint64 {
	x := job.seed
	// How much work that is, from a tenth of it: asking for the time all along would be work of
	// another kind, and samples of it.
	rounds, start := 0, cpuTime()
	for ; cpuTime()-start < job.budget/10; rounds++ {
		x = round(job, x)
	}
	for range rounds * 9 {
		x = round(job, x)
	}
	return x
}

// round plays the deck 25 times, each time in another order: a fixed one could keep step with the
// profiler's clock. It has no frame of its own on the stack, because it is inlined.
func round(job *task, x uint64) uint64 {
	for range 25 {
		for i := range job.deck {
			x = xorshift(x | 1)
			j := int(x % uint64(i+1))
			job.deck[i], job.deck[j] = job.deck[j], job.deck[i]
		}
		for _, isLeft := range job.deck {
			if isLeft {
				x ^= onTheLeft(job, x)
			} else {
				x ^= onTheRight(job, x)
			}
		}
	}
	return x
}

//go:noinline
func onTheLeft(job *task, x uint64) uint64 {
	y := job.work(x)
	return y ^ 1
}

//go:noinline
func onTheRight(job *task, x uint64) uint64 {
	y := job.work(x)
	return y ^ 2
}

// burn takes some microseconds. Its array gives it a frame of its own on the stack: without one,
// a walk by frame pointers would lack burn's caller.
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

var (
	zeros  int
	buffer [64 << 10]byte
)

// drain takes as long, nearly all of it in the kernel. A signal of the runtime's own may cut it short.
//
//go:noinline
func drain(x uint64) uint64 {
	n, err := syscall.Read(zeros, buffer[:])
	if err != nil || n == 0 {
		log.Fatalf("read %d bytes of /dev/zero: %v", n, err)
	}
	return x ^ uint64(buffer[x%uint64(n)])
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
