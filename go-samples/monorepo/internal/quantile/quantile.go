// Package quantile estimates quantiles of whole numbers within 3 %, in a fixed
// amount of memory; two sketches can be merged into one.
package quantile

import "math/bits"

const (
	subBits = 5 // 32 buckets for each power of two
	sub     = 1 << subBits
	buckets = (64 - subBits + 1) * sub
)

// Sketch counts values in buckets that grow with the values.
type Sketch struct {
	count  uint64
	sum    uint64
	counts [buckets]uint32
}

// bucket returns the bucket of a value.
func bucket(v uint64) int {
	if v < sub {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - subBits
	return (shift+1)*sub + int(v>>shift) - sub
}

// middle returns the value in the middle of a bucket.
func middle(b int) uint64 {
	if b < sub {
		return uint64(b)
	}
	shift := b/sub - 1
	return uint64(b%sub+sub)<<shift + uint64(1)<<shift/2
}

// Add counts a value.
func (s *Sketch) Add(v uint64) {
	s.count++
	s.sum += v
	s.counts[bucket(v)]++
}

// Merge adds all that another sketch has counted.
func (s *Sketch) Merge(o *Sketch) {
	s.count += o.count
	s.sum += o.sum
	for i, n := range o.counts {
		s.counts[i] += n
	}
}

// Count is how many values were added.
func (s *Sketch) Count() uint64 { return s.count }

// Mean is exact; 0 without values.
func (s *Sketch) Mean() float64 {
	if s.count == 0 {
		return 0
	}
	return float64(s.sum) / float64(s.count)
}

// Quantile returns about the value below which the share q of the values lies.
func (s *Sketch) Quantile(q float64) uint64 {
	if s.count == 0 {
		return 0
	}
	rank := uint64(q * float64(s.count-1))
	for i, n := range s.counts {
		if uint64(n) > rank {
			return middle(i)
		}
		rank -= uint64(n)
	}
	return middle(buckets - 1)
}
