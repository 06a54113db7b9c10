// Package recent remembers what was in use lately.
//
// Purpose: a bounded map that forgets by itself, for what costs time to find out again
// and can be found out again.
//
// Non-goals: expiry by time, exact order of use.
//
// The surprising decision: two generations in place of a list. A full young generation
// becomes the old one and the old one is dropped; what is still in use moves back. So an
// entry costs what it costs in a map, and no look-up moves pointers.
package recent

import "sync"

// Map is safe for concurrent use.
type Map[K comparable, V any] struct {
	mu         sync.Mutex
	young, old map[K]V
	limit      int
}

// NewMap makes a map whose two generations have up to limit entries each.
func NewMap[K comparable, V any](limit int) *Map[K, V] {
	return &Map[K, V]{young: map[K]V{}, limit: limit}
}

// Get finds what was put last, unless it is forgotten.
func (m *Map[K, V]) Get(key K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, found := m.young[key]
	if !found {
		if value, found = m.old[key]; found {
			m.keep(key, value)
		}
	}
	return value, found
}

// Put remembers a value.
func (m *Map[K, V]) Put(key K, value V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keep(key, value)
}

func (m *Map[K, V]) keep(key K, value V) {
	if _, known := m.young[key]; !known && len(m.young) >= m.limit {
		m.old, m.young = m.young, make(map[K]V, m.limit)
	}
	m.young[key] = value
}

// Forget drops a value.
func (m *Map[K, V]) Forget(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.young, key)
	delete(m.old, key)
}

// Len is how many values are remembered; one may count twice.
func (m *Map[K, V]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.young) + len(m.old)
}
