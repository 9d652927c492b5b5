package query

import (
	"errors"
	"math/big"
	"slices"
	"strconv"
)

// aggregate folds the values of one group.
type aggregate interface {
	add(v int64)
	// result is a whole number in decimal. Called once.
	result() string
}

func newAggregate(name string) aggregate {
	switch name {
	case "sum":
		return &sum{}
	case "p95":
		return &p95{}
	default:
		return &count{}
	}
}

type count struct{ n int64 }

func (c *count) add(int64)      { c.n++ }
func (c *count) result() string { return strconv.FormatInt(c.n, 10) }

// sum is exact: what does not fit in 64 bits moves to high.
type sum struct {
	low  int64
	high *big.Int
}

func (s *sum) add(v int64) {
	t := s.low + v
	if (t > s.low) == (v > 0) || v == 0 {
		s.low = t
		return
	}
	if s.high == nil {
		s.high = new(big.Int)
	}
	s.high.Add(s.high, big.NewInt(s.low))
	s.low = v
}

func (s *sum) result() string {
	if s.high == nil {
		return strconv.FormatInt(s.low, 10)
	}
	return s.high.Add(s.high, big.NewInt(s.low)).String()
}

// p95 is the exact 95th percentile by nearest rank: the least value that at
// least 95 % of the values do not exceed. It keeps all of them.
type p95 struct{ values []int64 }

func (p *p95) add(v int64) { p.values = append(p.values, v) }

func (p *p95) result() string {
	if len(p.values) == 0 {
		return "0"
	}
	slices.Sort(p.values)
	rank := (len(p.values)*95 + 99) / 100
	return strconv.FormatInt(p.values[rank-1], 10)
}

// Limits on what one query may hold in memory.
const (
	maxGroups = 10_000
	maxP95    = 8 << 20 // matching values: 64 MiB
)

// ErrTooMany asks the client to narrow a query.
var ErrTooMany = errors.New("the query keeps too much in memory: narrow it with tenant, kind, from or to")
