package quantile

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestQuantilesAreNear(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var a, b, all Sketch
	var values []uint64
	sum := 0.0
	for i := range 20_000 {
		v := uint64(r.ExpFloat64() * 50_000)
		values = append(values, v)
		sum += float64(v)
		if i%3 == 0 {
			a.Add(v)
		} else {
			b.Add(v)
		}
	}
	all.Merge(&a)
	all.Merge(&b)
	slices.Sort(values)
	for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 1} {
		want := float64(values[int(q*float64(len(values)-1))])
		if got := float64(all.Quantile(q)); math.Abs(got-want) > want*0.03+1 {
			t.Errorf("quantile %v: got %v, want about %v", q, got, want)
		}
	}
	if got, want := all.Mean(), sum/20_000; math.Abs(got-want) > 1e-6*want || all.Count() != 20_000 {
		t.Errorf("mean %v of %d, want %v", got, all.Count(), want)
	}
}

func TestBucketsAreInOrderAndHoldTheirMiddle(t *testing.T) {
	last := -1
	for _, v := range []uint64{0, 1, 31, 32, 33, 63, 64, 1000, 1 << 20, 1<<40 + 7, math.MaxUint64} {
		b := bucket(v)
		if b <= last || b >= buckets {
			t.Errorf("%d is in bucket %d, after %d", v, b, last)
		}
		if got := bucket(middle(b)); got != b {
			t.Errorf("the middle of bucket %d, %d, is in bucket %d", b, middle(b), got)
		}
		last = b
	}
	var empty Sketch
	if empty.Quantile(0.5) != 0 || empty.Mean() != 0 {
		t.Error("an empty sketch says something")
	}
}
