package main

// A mix is one of several, so that only a profile tells which one is called.
type mixer interface {
	mix(round uint64) uint64
}

type xorshift struct{ state uint64 }

// mix costs more than the 80 nodes that the compiler inlines without a profile.
func (r *xorshift) mix(round uint64) uint64 {
	x := r.state
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	if x&1 == 0 {
		x += round * 3
	} else {
		x -= round * 5
	}
	if x&2 == 0 {
		x ^= x << 11
	} else {
		x ^= x >> 9
	}
	if x&4 == 0 {
		x += round << 2
	} else {
		x -= round >> 1
	}
	if x&8 == 0 {
		x ^= round * 7
	} else {
		x ^= round * 11
	}
	r.state = x
	return x
}

type counter struct{ state uint64 }

func (c *counter) mix(round uint64) uint64 {
	c.state += round
	return c.state
}

//go:noinline
func drive(rounds uint64) (total uint64) {
	mixers := []mixer{&xorshift{state: 88172645463325252}, &counter{}}
	for round := range rounds {
		which := 0
		if round%64 == 0 {
			which = 1
		}
		total += mixers[which].mix(round) // the hot call
	}
	return total
}
