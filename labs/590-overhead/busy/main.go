// Command busy is a service that does the same work again and again, on order, and that can be told to
// profile itself.
//
//	busy -socket NAME -cpu MILLISECONDS -sleep MILLISECONDS -seed N
//
// It listens on the abstract Unix socket NAME for one client. Each line is an order:
//
//	work         do a slice of work: so much CPU time, with pauses between; the answer is `done`
//	profile HZ   switch runtime/pprof on; the answer is `on`
//	stop         switch it off; the answer is `profile BYTES`, and the profile behind it
//
// On standard output it prints `ready`. For a line on standard input it tells of each slice so far: `FROM
// TO CPU HZ`, when it began and ended (nanoseconds of CLOCK_BOOTTIME), the CPU time that it took
// (nanoseconds of the process's own clock), and the rate at which runtime/pprof was looking, or 0; then
// `end`.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// Clocks of clock_gettime(2).
const (
	processCPUTime = 2
	bootTime       = 7
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("busy: ")
	socket := flag.String("socket", "", "name of the abstract Unix socket")
	cpu := flag.Int("cpu", 300, "milliseconds of CPU time in a slice of work")
	sleep := flag.Int("sleep", 100, "milliseconds that a slice waits")
	seed := flag.Uint64("seed", 1, "of the work")
	flag.Parse()

	work := prepare(*cpu, *sleep, *seed)
	listener, err := net.Listen("unix", "@"+*socket)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready")
	go tell()
	client, err := listener.Accept()
	if err != nil {
		log.Fatal(err)
	}
	if err := serve(client, work); err != nil {
		log.Fatal(err)
	}
	// Whoever has started it may ask yet, and ends it.
	select {}
}

// done tells of the slices so far.
var done struct {
	sync.Mutex
	lines []string
}

// tell prints that when it is asked.
func tell() {
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		done.Lock()
		for _, line := range done.lines {
			fmt.Println(line)
		}
		fmt.Println("end")
		done.Unlock()
	}
}

// serve obeys orders until the client goes.
func serve(client net.Conn, work *slice) error {
	var profile bytes.Buffer
	hz := 0
	orders := bufio.NewScanner(client)
	for orders.Scan() {
		order := orders.Text()
		var err error
		switch {
		case order == "work":
			from, begin := now(bootTime), now(processCPUTime)
			work.do()
			used, to := now(processCPUTime)-begin, now(bootTime)
			done.Lock()
			done.lines = append(done.lines, fmt.Sprint(from, to, used, hz))
			done.Unlock()
			_, err = fmt.Fprintln(client, "done")
		case order == "stop":
			pprof.StopCPUProfile()
			hz = 0
			if _, err = fmt.Fprintln(client, "profile", profile.Len()); err == nil {
				_, err = profile.WriteTo(client)
			}
		default:
			if _, err := fmt.Sscanf(order, "profile %d", &hz); err != nil {
				return fmt.Errorf("%q is no order: %w", order, err)
			}
			profile.Reset()
			if err := startProfile(&profile, hz); err != nil {
				return err
			}
			_, err = fmt.Fprintln(client, "on")
		}
		if err != nil {
			return err
		}
	}
	return orders.Err()
}

// startProfile asks for hz samples a second. pprof itself only ever asks for 100; but the rate that is
// set first stays (runtime.SetCPUProfileRate), and its request is refused with a line on standard error,
// which nobody needs to see.
func startProfile(profile *bytes.Buffer, hz int) error {
	errors, err := syscall.Dup(2)
	if err != nil {
		return err
	}
	defer syscall.Close(errors)
	null, err := syscall.Open(os.DevNull, syscall.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(null)
	if err := syscall.Dup3(null, 2, 0); err != nil {
		return err
	}
	runtime.SetCPUProfileRate(hz)
	started := pprof.StartCPUProfile(profile)
	if err := syscall.Dup3(errors, 2, 0); err != nil {
		return err
	}
	// A goroutine of pprof's begins with reading what is mapped where: that is no part of the work.
	time.Sleep(50 * time.Millisecond)
	return started
}

// now reads a clock, in nanoseconds.
func now(clock uintptr) int64 {
	var time syscall.Timespec
	_, _, err := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&time)), 0)
	if err != 0 {
		log.Fatal(err)
	}
	return time.Nano()
}

// slice is the work: rounds of an interpreter, in parts with pauses between.
type slice struct {
	program expression
	rounds  int
	pause   time.Duration
	seed    uint64
	// So that no compiler leaves the work out.
	result uint64
}

// parts of a slice, with pauses between.
const parts = 5

// prepare finds out how much work takes so many milliseconds of CPU time.
func prepare(cpu, sleep int, seed uint64) *slice {
	s := &slice{
		program: grow(&random{seed | 1}, 14),
		pause:   time.Duration(sleep) * time.Millisecond / (parts - 1),
		seed:    seed,
	}
	budget := int64(cpu) * int64(time.Millisecond)
	begin := now(processCPUTime)
	for now(processCPUTime)-begin < budget/2 {
		s.round()
		s.rounds++
	}
	s.rounds = max(1, s.rounds*2/parts)
	return s
}

// do works, the same each time.
func (s *slice) do() {
	for part := range parts {
		if part > 0 {
			time.Sleep(s.pause)
		}
		for range s.rounds {
			s.round()
		}
	}
}

// round evaluates the program once.
func (s *slice) round() {
	s.result ^= s.program.value(s.seed)
}
