// Command boxes is a program to look addresses up in: with calls that the compiler inlines, alone
// and within one another, and all that packages fmt and sort bring along. It prints the area of
// some random boxes.
package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sort"
)

type box struct{ width, height int }

func (b box) area() int { return multiply(b.width, b.height) }

func multiply(a, b int) int { return checked(a) * checked(b) }

func checked(side int) int {
	if side < 0 {
		panic("a side is negative")
	}
	return side
}

// total reaches multiply by way of area; both are small enough to be inlined.
//
//go:noinline
func total(boxes []box) int {
	sum := 0
	for _, b := range boxes {
		sum += b.area()
	}
	return sum
}

func largest[T any](all []T, less func(a, b T) bool) T {
	sort.Slice(all, func(i, j int) bool { return less(all[j], all[i]) })
	return all[0]
}

func main() {
	var boxes []box
	for range 1 + rand.IntN(10) {
		boxes = append(boxes, box{rand.IntN(100), rand.IntN(100)})
	}
	big := largest(boxes, func(a, b box) bool { return a.area() < b.area() })
	if _, err := fmt.Println(total(boxes), "in all,", big.area(), "the largest"); err != nil {
		os.Exit(1)
	}
}
