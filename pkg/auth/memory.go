package auth

import (
	"crypto/sha256"

	"github.com/kortwallet/kort/pkg/recent"
)

// maxRemembered is the number of tokens in one generation of the memory; two generations are kept.
const maxRemembered = 4096

// memory keeps the verdicts on good tokens, because a signature costs more to verify than most requests cost to answer. Bad
// tokens are not kept: they would push the good ones out.
type memory struct {
	verdicts *recent.Map[tokenDigest, verdict]
}

type tokenDigest = [sha256.Size]byte

type verdict struct {
	principal Principal
	claims    claims
	// keys is the set the signature was verified with. When it is replaced the verdict is void, so a removed key ends its tokens.
	keys *keySet
}

func newMemory() *memory {
	return &memory{verdicts: recent.NewMap[tokenDigest, verdict](maxRemembered)}
}

func (m *memory) recall(digest tokenDigest, present *keySet) (verdict, bool) {
	known, found := m.verdicts.Get(digest)
	return known, found && known.keys == present
}

func (m *memory) remember(digest tokenDigest, known verdict) { m.verdicts.Put(digest, known) }
