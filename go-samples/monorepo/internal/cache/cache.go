// Package cache keeps as many values as it has room for; a Policy says which
// one goes when another comes.
package cache

import "sync"

// Policy orders the slots of a cache, 0 to n-1.
type Policy interface {
	// Fill says that a slot holds a new value.
	Fill(slot int)
	// Touch says that a slot's value was read or written again.
	Touch(slot int)
	// Victim chooses a slot among those that are filled.
	Victim() int
}

// Cache is safe for concurrent use.
type Cache[V any] struct {
	mu      sync.Mutex
	policy  Policy
	room    int
	index   map[string]int
	keys    []string
	values  []V
	dropped uint64
}

// New makes a cache of so many slots.
func New[V any](slots int, policy Policy) *Cache[V] {
	return &Cache[V]{policy: policy, room: slots, index: make(map[string]int, slots)}
}

// Get returns a key's value.
func (c *Cache[V]) Get(key []byte) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	slot, ok := c.index[string(key)]
	if !ok {
		return v, false
	}
	c.policy.Touch(slot)
	return c.values[slot], true
}

// Put sets a key's value.
func (c *Cache[V]) Put(key []byte, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(key, v)
}

func (c *Cache[V]) put(key []byte, v V) {
	if slot, ok := c.index[string(key)]; ok {
		c.values[slot] = v
		c.policy.Touch(slot)
		return
	}
	name := string(key)
	if len(c.keys) < c.room {
		slot := len(c.keys)
		c.keys, c.values = append(c.keys, name), append(c.values, v)
		c.index[name] = slot
		c.policy.Fill(slot)
		return
	}
	slot := c.policy.Victim()
	delete(c.index, c.keys[slot])
	c.keys[slot], c.values[slot] = name, v
	c.index[name] = slot
	c.policy.Fill(slot)
	c.dropped++
}

// GetOrPut returns a key's value, made and put if there is none yet.
func (c *Cache[V]) GetOrPut(key []byte, make func() V) V {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slot, ok := c.index[string(key)]; ok {
		c.policy.Touch(slot)
		return c.values[slot]
	}
	v := make()
	c.put(key, v)
	return v
}

// Len is how many values there are.
func (c *Cache[V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.keys)
}

// Dropped is how many values had to go.
func (c *Cache[V]) Dropped() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropped
}
