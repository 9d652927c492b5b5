// Package order puts things in order: a priority queue, and the merge of
// sequences that are sorted already.
package order

// Queue is a binary heap; Pop returns the least item.
type Queue[T any] struct {
	items []T
	less  func(a, b T) bool
}

// NewQueue returns an empty queue in the order of less.
func NewQueue[T any](less func(a, b T) bool) *Queue[T] { return &Queue[T]{less: less} }

// Len is how many items there are.
func (q *Queue[T]) Len() int { return len(q.items) }

// Reset removes all items and keeps their room.
func (q *Queue[T]) Reset() { q.items = q.items[:0] }

// Top returns the least item of a queue that is not empty.
func (q *Queue[T]) Top() T { return q.items[0] }

// Push adds an item.
func (q *Queue[T]) Push(item T) {
	q.items = append(q.items, item)
	i := len(q.items) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !q.less(item, q.items[parent]) {
			break
		}
		q.items[i] = q.items[parent]
		i = parent
	}
	q.items[i] = item
}

// Pop removes the least item of a queue that is not empty.
func (q *Queue[T]) Pop() T {
	top := q.items[0]
	last := q.items[len(q.items)-1]
	q.items = q.items[:len(q.items)-1]
	if len(q.items) > 0 {
		q.ReplaceTop(last)
	}
	return top
}

// ReplaceTop puts an item in the place of the least one.
func (q *Queue[T]) ReplaceTop(item T) {
	i, n := 0, len(q.items)
	for {
		child := 2*i + 1
		if child >= n {
			break
		}
		if right := child + 1; right < n && q.less(q.items[right], q.items[child]) {
			child = right
		}
		if !q.less(q.items[child], item) {
			break
		}
		q.items[i] = q.items[child]
		i = child
	}
	q.items[i] = item
}

// Source is a sequence whose keys never decrease.
type Source interface {
	// Next moves to the next item, or the first; false after the last.
	Next() bool
	// Key is of the item that Next moved to.
	Key() uint64
}

// Merge walks several sources as if they were one.
type Merge struct {
	sources []Source
	queue   *Queue[head]
	started bool
}

// head is the first item of a source that is not visited yet.
type head struct {
	key    uint64
	source int
}

// NewMerge makes a merge of sources that are before their first items.
func NewMerge(sources []Source) *Merge {
	m := &Merge{sources: sources, queue: NewQueue(func(a, b head) bool {
		return a.key < b.key || a.key == b.key && a.source < b.source
	})}
	for i, s := range sources {
		if s.Next() {
			m.queue.Push(head{s.Key(), i})
		}
	}
	return m
}

// Next returns the source whose item is next, and its key. That source stays at
// the item until Next is called again. Of equal keys the first source's is first.
func (m *Merge) Next() (source int, key uint64, ok bool) {
	if m.started {
		last := m.queue.Top().source
		if s := m.sources[last]; s.Next() {
			m.queue.ReplaceTop(head{s.Key(), last})
		} else {
			m.queue.Pop()
		}
	}
	m.started = m.queue.Len() > 0
	if !m.started {
		return 0, 0, false
	}
	top := m.queue.Top()
	return top.source, top.key, true
}
