// Package work is what the profile is about. It imports nothing, so the compiler's decisions about
// it can be asked for by themselves.
package work

// Round does LEFT parts of its work in Left and RIGHT parts in Right, in an order drawn from seed.
func Round(left, right int, seed uint64) uint64 {
	x := seed | 1
	for range 125 {
		l, r := left, right
		for l+r > 0 {
			x = xorshift(x | 1)
			// Drawing without putting back: the parts are exact.
			if x%uint64(l+r) < uint64(l) {
				l--
				x ^= Left(x)
			} else {
				r--
				x ^= Right(x)
			}
		}
	}
	return x
}

// Left reaches step by way of mix, which the compiler inlines.
//
//go:noinline
func Left(x uint64) uint64 {
	y := mix(x ^ 0x51ed) // Left calls mix
	return y + 1
}

// Right does the same from another place.
//
//go:noinline
func Right(x uint64) uint64 {
	x += 0x9e37
	y := mix(x) // Right calls mix
	return y + 2
}

// mix is small enough to be inlined without a profile.
func mix(x uint64) uint64 {
	x |= 1
	y := step(x) // mix calls step
	return y*5 + x
}

// step is too big to be inlined without a profile, and small enough with one. Its array gives it a
// frame of its own on the stack: without one, a stack walked by frame pointers would lack its
// caller.
func step(x uint64) uint64 {
	var box [8]uint64
	for i := uint64(0); i < 2000; i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		box[x%8] += x
		box[(x>>8)%8] ^= i
		box[(x>>16)%8] -= x >> 3
		box[(x>>24)%8] += i ^ x>>5
		box[(x>>32)%8] ^= x + i<<7
	}
	return box[x%8] ^ box[(x>>5)%8]
}

func xorshift(x uint64) uint64 {
	x ^= x << 13
	x ^= x >> 7
	return x ^ x<<17
}
