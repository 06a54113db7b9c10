package auth

import (
	"crypto/sha256"
	"sync"
)

// maxRemembered is the number of tokens in one generation of the memory; two generations are kept.
const maxRemembered = 4096

// memory keeps the verdicts on good tokens, because a signature costs more to verify than most requests cost to answer. Bad
// tokens are not kept: they would push the good ones out.
type memory struct {
	mu sync.Mutex
	// A full young generation becomes the old one and the old one is dropped; what is still in use moves back.
	young, old map[tokenDigest]verdict
}

type tokenDigest = [sha256.Size]byte

type verdict struct {
	principal Principal
	claims    claims
	// keys is the set the signature was verified with. When it is replaced the verdict is void, so a removed key ends its tokens.
	keys *keySet
}

func newMemory() *memory {
	return &memory{young: map[tokenDigest]verdict{}}
}

func (m *memory) recall(digest tokenDigest, present *keySet) (verdict, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, found := m.young[digest]
	if !found {
		if known, found = m.old[digest]; found {
			m.keep(digest, known)
		}
	}
	return known, found && known.keys == present
}

func (m *memory) remember(digest tokenDigest, known verdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keep(digest, known)
}

func (m *memory) keep(digest tokenDigest, known verdict) {
	if len(m.young) >= maxRemembered {
		m.old, m.young = m.young, make(map[tokenDigest]verdict, maxRemembered)
	}
	m.young[digest] = known
}
