// Command waits waits on order and measures how long, so that whoever gives the order knows what
// a profiler of waiting should see.
//
// It has four workers and two burners, each on a thread of its own, and three goroutines that wait
// for a channel. Each line on standard input is an order: how many milliseconds the burners are to
// be interrupted for, then a word for each worker, of calls in their order: `f12,c30` is fetch for
// 12 ms, then commit for 30 ms; `-` is none. The answer is `done` and a word for each thread,
// workers first: THREAD:AWAIT:FETCH:COMMIT:READY, its thread id and how many nanoseconds since the
// last answer it waited in which of the three functions, and how many it could have computed but
// another had the CPU.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	workers   = 4
	burners   = 2
	listeners = 3
)

// A thread that waits in await until there is an order for it.
type thread struct {
	// Ends of pipes: a byte in wake is an order, a byte in done the end of one.
	wake, done [2]int
	order      atomic.Pointer[order]
	id         int
	// Waited so far: what the next answer tells.
	await, fetch, commit, ready time.Duration
}

type order struct {
	calls []call
	// Burn until interrupted for so long.
	burn time.Duration
}

type call struct {
	commit bool
	wait   time.Duration
}

func main() {
	withoutPreemption()
	// As many as threads, and some: who comes back from a system call must not wait for another.
	runtime.GOMAXPROCS(workers + burners + 4)
	var threads [workers + burners]*thread
	for i := range threads {
		t := &thread{wake: pipe(), done: pipe()}
		threads[i] = t
		go t.run(i >= workers)
		waitFor(threads[i : i+1])
	}
	var events [listeners]chan int
	for i := range events {
		events[i] = make(chan int)
		go listen(events[i])
	}
	fmt.Println("ready")

	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != 1+workers {
			fail("an order has a number and %d words, not %q", workers, lines.Text())
		}
		burn := time.Duration(number(words[0])) * time.Millisecond
		enough.Store(false)
		// One after the other: who computes would take the CPU from those that come back.
		for i, t := range threads[:workers] {
			t.give(&order{calls: calls(words[1+i])})
		}
		waitFor(threads[:workers])
		for _, t := range threads[workers:] {
			t.give(&order{burn: burn})
		}
		waitFor(threads[workers:])
		answer := "done"
		for _, t := range threads {
			answer += fmt.Sprintf(" %d:%d:%d:%d:%d", t.id, t.await, t.fetch, t.commit, t.ready)
		}
		for _, c := range events {
			c <- 1
		}
		fmt.Println(answer)
	}
}

// withoutPreemption begins the program again with a setting of Go's runtime: on a thread of its own a
// goroutine whose time is up makes the thread wait for its next turn, which is waiting that nobody
// measures here.
func withoutPreemption() {
	const setting = "asyncpreemptoff=1"
	if os.Getenv("GODEBUG") == setting {
		return
	}
	if err := os.Setenv("GODEBUG", setting); err != nil {
		fail("%v", err)
	}
	fail("cannot begin again: %v", syscall.Exec("/proc/self/exe", os.Args, os.Environ()))
}

func (t *thread) run(burner bool) {
	runtime.LockOSThread()
	t.id = syscall.Gettid()
	if burner {
		// All on one CPU, so that they must interrupt each other.
		moveToOneCPU()
	}
	write(t.done[1])
	for {
		begin := time.Now()
		await(t.wake[0])
		awaited := time.Now()
		var fetched, committed time.Duration
		o := t.order.Load()
		for _, c := range o.calls {
			begin := time.Now()
			if c.commit {
				commit(c.wait)
				committed += time.Since(begin)
			} else {
				fetch(c.wait)
				fetched += time.Since(begin)
			}
		}
		ready := time.Duration(0)
		if o.burn > 0 {
			ready = time.Duration(burn(int64(o.burn)))
		}
		t.await, t.fetch, t.commit, t.ready = awaited.Sub(begin), fetched, committed, ready
		write(t.done[1])
	}
}

// What follows a wait is there to keep the function on the stack: a call at the very end could be
// a jump.
var sink atomic.Uint64

// await waits for an order.
//
//go:noinline
func await(fd int) {
	read(fd)
	sink.Add(1)
}

// fetch is where a service would wait for another one's answer.
//
//go:noinline
func fetch(wait time.Duration) {
	block(wait)
	sink.Add(2)
}

// commit is where a service would wait for a disk.
//
//go:noinline
func commit(wait time.Duration) {
	block(wait)
	sink.Add(3)
}

// listen waits for a channel: its goroutine waits, and no thread does.
//
//go:noinline
func listen(events chan int) {
	for event := range events {
		sink.Add(uint64(event))
	}
}

// block waits in the kernel. (time.Sleep would not: it parks the goroutine.)
func block(wait time.Duration) {
	left := syscall.NsecToTimespec(int64(wait))
	for syscall.Nanosleep(&left, &left) == syscall.EINTR {
	}
}

// enough says that one of the burners was interrupted for long enough.
var enough atomic.Bool

// burn computes until this thread, or another that burns too, was interrupted for so many nanoseconds,
// and says for how many this one was. It calls nothing that is an occasion for the runtime to let
// others go first, as most functions are.
//
//go:nosplit
func burn(nanos int64) int64 {
	began, used := clock(clockMonotonic), clock(clockThread)
	x := uint64(began) | 1
	for {
		for range 20_000 {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
		sink.Add(x)
		now := clock(clockMonotonic) - began
		ready := now - (clock(clockThread) - used)
		if ready >= nanos || now >= mostBurned {
			enough.Store(true)
		}
		if enough.Load() {
			return ready
		}
	}
}

const (
	clockMonotonic = 1
	clockThread    = 3
	mostBurned     = 10e9
)

//go:nosplit
func clock(id uintptr) int64 {
	var now syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&now)), 0)
	return now.Sec*1e9 + now.Nsec
}

// moveToOneCPU binds this thread to the first CPU that it may run on.
func moveToOneCPU() {
	var mask [128]uint64
	size := unsafe.Sizeof(mask)
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, size, uintptr(unsafe.Pointer(&mask))); errno != 0 {
		fail("sched_getaffinity: %v", errno)
	}
	found := false
	for i, word := range mask {
		mask[i] = 0
		if word != 0 && !found {
			mask[i] = word & -word
			found = true
		}
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, size, uintptr(unsafe.Pointer(&mask))); errno != 0 {
		fail("sched_setaffinity: %v", errno)
	}
}

func calls(word string) []call {
	if word == "-" {
		return nil
	}
	var all []call
	for text := range strings.SplitSeq(word, ",") {
		if text == "" || text[0] != 'f' && text[0] != 'c' {
			fail("%q is no call", text)
		}
		wait := time.Duration(number(text[1:])) * time.Millisecond
		all = append(all, call{text[0] == 'c', wait})
	}
	return all
}

func number(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		fail("%v", err)
	}
	return n
}

// pipe makes one whose ends block: os.Pipe's would park the goroutine instead.
func pipe() [2]int {
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		fail("pipe: %v", err)
	}
	return ends
}

func (t *thread) give(o *order) {
	t.order.Store(o)
	write(t.wake[1])
}

func waitFor(threads []*thread) {
	for _, t := range threads {
		read(t.done[0])
	}
}

func read(fd int) {
	var one [1]byte
	for {
		n, err := syscall.Read(fd, one[:])
		if n == 1 {
			return
		}
		if err != syscall.EINTR {
			fail("read: %v", err)
		}
	}
}

func write(fd int) {
	if _, err := syscall.Write(fd, []byte{1}); err != nil {
		fail("write: %v", err)
	}
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "waits: "+format+"\n", args...)
	os.Exit(2)
}
