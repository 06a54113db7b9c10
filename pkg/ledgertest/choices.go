package ledgertest

import (
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// Choices is where a script takes its decisions from. *math/rand/v2.Rand is one;
// [Bytes] lets a fuzzer decide.
type Choices interface {
	// IntN returns a number from 0 up to, not including, n.
	IntN(n int) int
}

// Bytes takes decisions from bytes: one for up to 256 alternatives, two for more.
// When they are used up every decision is 0.
type Bytes struct{ rest []byte }

// NewBytes returns the decisions that the bytes stand for.
func NewBytes(data []byte) *Bytes { return &Bytes{rest: data} }

// Empty tells whether all bytes are used up.
func (b *Bytes) Empty() bool { return len(b.rest) == 0 }

// IntN implements Choices.
func (b *Bytes) IntN(n int) int {
	number := b.next()
	if n > 256 {
		number = number<<8 | b.next()
	}
	return number % n
}

func (b *Bytes) next() int {
	if len(b.rest) == 0 {
		return 0
	}
	first := b.rest[0]
	b.rest = b.rest[1:]
	return int(first)
}

// start is the moment at which every script begins: 2026-01-01T00:00:00Z.
const start ledger.Micros = 1_767_225_600_000_000

// idSource draws UUIDs of version 7 that grow as those of a real clock do: rising
// by the millisecond, in any order within one. Different sources never meet.
type idSource struct{ source, count uint64 }

// idsPerMillisecond is how many ids share their time part.
const idsPerMillisecond = 4

func (s *idSource) next() uuid.UUID {
	s.count++
	var id uuid.UUID
	millis := uint64(start)/1000 + s.count/idsPerMillisecond //nolint:gosec // the start is positive
	binary.BigEndian.PutUint64(id[0:], millis<<16)
	binary.BigEndian.PutUint64(id[8:], mix(s.source<<40|s.count))
	id[6] = 0x70 | byte(mix(s.count)&0x0f)
	id[7] = byte(mix(s.count) >> 8 & 0xff)
	id[8] = 0x80 | id[8]&0x3f
	return id
}

// mix spreads a number over all bits, one to one (the finaliser of splitmix64).
func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}
