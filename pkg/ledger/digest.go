package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/google/uuid"
)

// Digest is a link of a card's hash chain: SHA-256 over the previous link and
// the canonical bytes of a transaction. The zero Digest stands before the first.
type Digest [sha256.Size]byte

// String returns the digest in lower-case hexadecimal.
func (d Digest) String() string {
	var text [2 * len(d)]byte
	hex.Encode(text[:], d[:])
	return string(text[:])
}

// ParseDigest reads what [Digest.String] wrote.
func ParseDigest(text string) (Digest, error) {
	var d Digest
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(d) {
		return d, fmt.Errorf("parse digest: %w", ErrCorrupt)
	}
	copy(d[:], raw)
	return d, nil
}

// digestVersion starts the canonical bytes, so that a later layout can never
// produce the digest of an earlier one.
const digestVersion = "kort transaction 1"

// Chain computes the digest of a transaction that follows prev. Each field is
// written with its length, so that no two different rows share their bytes.
func Chain(prev Digest, account string, t *Transaction) Digest {
	row := make([]byte, 0, 512)
	text := func(s string) {
		row = binary.BigEndian.AppendUint64(row, uint64(len(s)))
		row = append(row, s...)
	}
	number := func(n int64) { row = binary.BigEndian.AppendUint64(row, uint64(n)) } //nolint:gosec // the bit pattern is what is hashed
	id := func(u uuid.UUID) { row = append(row, u[:]...) }
	flag := func(b bool) {
		if b {
			row = append(row, 1)
		} else {
			row = append(row, 0)
		}
	}

	text(digestVersion)
	row = append(row, prev[:]...)
	text(account)
	id(t.Card)
	id(t.ID)
	number(t.Seq)
	text(string(t.Type))
	number(t.Amount)
	text(string(t.Currency))
	text(t.RefID)
	id(t.Parent)
	text(string(t.Address))
	id(t.Token)
	flag(t.AmountGiven)
	text(t.Metadata)
	text(t.OriginatedBy)
	number(int64(t.CreatedAt))
	text(t.CreatedBy)
	return sha256.Sum256(row)
}
