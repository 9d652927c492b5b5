// Command busy burns CPU time on order, in itself or in processes that it starts.
//
// Each line on standard input is an order; the answer ends with `done`.
//
//	burn MILLISECONDS LEFT RIGHT SEED   burn so much CPU time, LEFT parts of it called from onTheLeft and
//	                                    RIGHT parts from onTheRight, in an order drawn from SEED
//	start NAME…                         start a process for each name; the answer has a line `NAME PID` for each
//	work MILLISECONDS…                  have each of them burn so much CPU time, one after the other
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

func init() {
	// The main goroutine stays on the process's first thread, so all work is done by others, and
	// processes are started by others too.
	runtime.LockOSThread()
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("busy: ")
	if len(os.Args) > 1 {
		// A process shows by the name of its first thread.
		setName(os.Args[1])
	}
	orders, answers := make(chan string), make(chan error)
	go func() {
		// One thread for all orders: a process that it has started ends with it. Its name is its own.
		runtime.LockOSThread()
		setName("worker")
		for order := range orders {
			answers <- obey(order)
		}
	}()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		orders <- lines.Text()
		if err := <-answers; err != nil {
			log.Fatalf("%q: %v", lines.Text(), err)
		}
		fmt.Println("done")
	}
}

// obey does what an order says.
func obey(order string) error {
	verb, rest, _ := strings.Cut(order, " ")
	switch verb {
	case "burn":
		var millis, left, right int
		var seed uint64
		if _, err := fmt.Sscan(rest, &millis, &left, &right, &seed); err != nil {
			return err
		}
		work(time.Duration(millis)*time.Millisecond, left, right, seed)
		return nil
	case "start":
		for _, name := range strings.Fields(rest) {
			child, err := start(name)
			if err != nil {
				return err
			}
			children = append(children, child)
			fmt.Println(name, child.command.Process.Pid)
		}
		return nil
	case "work":
		for i, millis := range strings.Fields(rest) {
			if err := children[i].ask("burn " + millis + " 1 1 1"); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("an order is burn, start or work")
}

// child is a process of the same program.
type child struct {
	command *exec.Cmd
	orders  io.Writer
	answers *bufio.Scanner
}

var children []*child

func start(name string) (*child, error) {
	command := exec.Command("/proc/self/exe", name)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	command.Stderr = os.Stderr
	orders, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	answers, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	it := &child{command, orders, bufio.NewScanner(answers)}
	// Its name is set once it answers.
	return it, it.ask("burn 0 1 1 1")
}

// ask sends an order and waits until it is done.
func (c *child) ask(order string) error {
	if _, err := fmt.Fprintln(c.orders, order); err != nil {
		return err
	}
	if !c.answers.Scan() || c.answers.Text() != "done" {
		return fmt.Errorf("process %d answered %q", c.command.Process.Pid, c.answers.Text())
	}
	return nil
}

// setName gives the thread a name (prctl(2), PR_SET_NAME).
func setName(name string) {
	text := append([]byte(name), 0)
	_, _, err := syscall.RawSyscall(syscall.SYS_PRCTL, 15, uintptr(unsafe.Pointer(&text[0])), 0)
	if err != 0 {
		log.Fatal(err)
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

// burn takes some microseconds. Its array gives it a frame of its own on the stack.
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
