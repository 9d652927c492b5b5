package cache

import "math/rand/v2"

// LRU gives up what was not touched for longest.
type LRU struct {
	// before and after link the slots in a ring, whose first is at newest.
	before, after []int
	newest        int
}

// NewLRU makes the policy.
func NewLRU() *LRU { return &LRU{newest: -1} }

// Fill implements Policy.
func (p *LRU) Fill(slot int) {
	if slot < len(p.before) {
		p.Touch(slot)
		return
	}
	p.before, p.after = append(p.before, slot), append(p.after, slot)
	p.link(slot)
}

func (p *LRU) link(slot int) {
	if p.newest >= 0 {
		oldest := p.before[p.newest]
		p.before[slot], p.after[slot] = oldest, p.newest
		p.after[oldest], p.before[p.newest] = slot, slot
	}
	p.newest = slot
}

// Touch implements Policy.
func (p *LRU) Touch(slot int) {
	switch {
	case slot == p.newest:
	case slot == p.before[p.newest]: // the ring turns
		p.newest = slot
	default:
		before, after := p.before[slot], p.after[slot]
		p.after[before], p.before[after] = after, before
		p.link(slot)
	}
}

// Victim implements Policy.
func (p *LRU) Victim() int { return p.before[p.newest] }

// LFU gives up what was touched least of a few slots that it draws; counts
// are halved now and then, so that old fame fades.
type LFU struct {
	counts []uint16
	rng    *rand.Rand
	until  int // touches before counts are halved
}

const drawn = 6

// NewLFU makes the policy; it draws the same slots for the same seed.
func NewLFU(seed uint64) *LFU { return &LFU{rng: rand.New(rand.NewPCG(seed, seed))} }

// Fill implements Policy.
func (p *LFU) Fill(slot int) {
	if slot == len(p.counts) {
		p.counts = append(p.counts, 0)
		p.until = 10 * len(p.counts)
	}
	p.counts[slot] = 1
}

// Touch implements Policy.
func (p *LFU) Touch(slot int) {
	if p.counts[slot] < 1<<15 {
		p.counts[slot]++
	}
	if p.until--; p.until > 0 {
		return
	}
	for i := range p.counts {
		p.counts[i] /= 2
	}
	p.until = 10 * len(p.counts)
}

// Victim implements Policy.
func (p *LFU) Victim() int {
	victim := p.rng.IntN(len(p.counts))
	for range drawn - 1 {
		if slot := p.rng.IntN(len(p.counts)); p.counts[slot] < p.counts[victim] {
			victim = slot
		}
	}
	return victim
}
