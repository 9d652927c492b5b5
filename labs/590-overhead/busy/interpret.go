package main

// expression is a node of a program in a small language. Its evaluation makes stacks as deep as the
// program is, of which profilers have to walk each frame.
type expression interface {
	value(input uint64) uint64
}

type constant uint64

func (c constant) value(uint64) uint64 { return uint64(c) }

type variable struct{ shift uint64 }

func (v variable) value(input uint64) uint64 { return input >> v.shift }

type sum struct{ left, right expression }

func (s sum) value(input uint64) uint64 {
	return s.left.value(input) + s.right.value(input^1)
}

type product struct{ left, right expression }

func (p product) value(input uint64) uint64 {
	return (p.left.value(input) | 1) * (p.right.value(input+3) | 1)
}

// hash stirs what its expression gives.
type hash struct {
	of     expression
	rounds int
}

func (h hash) value(input uint64) uint64 {
	r := random{h.of.value(input) | 1}
	for range h.rounds {
		r.next()
	}
	return r.state
}

// grow makes a program of so many levels.
func grow(r *random, levels int) expression {
	if levels == 0 {
		if r.next()%2 == 0 {
			return constant(r.next())
		}
		return variable{r.next() % 32}
	}
	switch r.next() % 4 {
	case 0:
		return product{grow(r, levels-1), grow(r, levels-1)}
	case 1:
		return hash{grow(r, levels-1), 20 + int(r.next()%60)}
	default:
		return sum{grow(r, levels-1), grow(r, levels-1)}
	}
}

// random is Marsaglia's xorshift.
type random struct{ state uint64 }

func (r *random) next() uint64 {
	r.state ^= r.state << 13
	r.state ^= r.state >> 7
	r.state ^= r.state << 17
	return r.state
}
