// Command allocs allocates on order, so that whoever gives the order knows what a heap profile
// should hold.
//
// Each line on standard input is `RECORDS BUFFERS BUFFER-BYTES IMAGES IMAGE-BYTES SEED`: so many
// objects of 320 bytes in record, slices of BUFFER-BYTES in buffer and of IMAGE-BYTES in image, in
// an order drawn from SEED. The answer is `done`.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
)

// A record has 320 bytes.
type line struct {
	fields [40]uint64
}

// What is allocated must be reachable for a moment: else the compiler would put it on the stack.
var (
	lines *line
	bytes []byte
)

func main() {
	orders := bufio.NewScanner(os.Stdin)
	// The first collection makes threads and what belongs to them, in the stack of whoever happens to
	// set it off.
	runtime.GC()
	fmt.Println("ready")
	for orders.Scan() {
		var records, buffers, bufferBytes, images, imageBytes, seed uint64
		n, err := fmt.Sscan(orders.Text(), &records, &buffers, &bufferBytes, &images, &imageBytes, &seed)
		if n != 6 {
			fmt.Fprintf(os.Stderr, "allocs: %q is no order: %v\n", orders.Text(), err)
			os.Exit(2)
		}
		done := make(chan bool)
		go func() {
			grow(64)
			work(records, buffers, bufferBytes, images, imageBytes, seed|1)
			done <- true
		}()
		<-done
		fmt.Println("done")
	}
}

// grow makes the goroutine's stack large. A function that finds it too small begins again once
// it has grown, and a probe at its entry fires twice.
//
//go:noinline
func grow(depth int) uint64 {
	var room [128]uint64
	if depth > 0 {
		room[depth] = grow(depth - 1)
	}
	return room[depth] + 1
}

func work(records, buffers, bufferBytes, images, imageBytes, x uint64) {
	for left := records + buffers + images; left > 0; left-- {
		// xorshift64. Drawn without putting back: the numbers are exact.
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		switch pick := x % left; {
		case pick < records:
			records--
			record(x)
		case pick < records+buffers:
			buffers--
			buffer(bufferBytes)
		default:
			images--
			image(imageBytes)
		}
	}
}

//go:noinline
func record(x uint64) {
	lines = new(line)
	lines.fields[0] = x
}

//go:noinline
func buffer(size uint64) {
	bytes = make([]byte, size)
	bytes[0] = 1
}

//go:noinline
func image(size uint64) {
	bytes = make([]byte, size)
	bytes[size-1] = 1
}
