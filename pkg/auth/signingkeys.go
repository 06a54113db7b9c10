package auth

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// SigningKeys follow the file of a ring while a server runs: a rotation is noticed within DefaultFileInterval, without a restart. A
// file that breaks later leaves the last good keys in use.
type SigningKeys struct {
	now    func() time.Time
	ring   atomic.Pointer[Ring]
	source *KeySource
}

// FollowRing begins to follow a file. It fails when the file cannot be read now.
func FollowRing(path string, now func() time.Time, options SourceOptions) (*SigningKeys, error) {
	keys := &SigningKeys{now: now}
	load := func(context.Context) ([]byte, error) {
		ring, err := LoadRing(path)
		if err != nil {
			return nil, err
		}
		document, err := ring.JWKS(now())
		if err != nil {
			return nil, err
		}
		// A key that comes and one that ends change the document by the clock alone; a document that stays the same keeps what is
		// remembered of its tokens.
		keys.ring.Store(&ring)
		return document, nil
	}
	source, err := follow(load, options)
	if err != nil {
		return nil, err
	}
	keys.source = source
	return keys, nil
}

// Source is where the tokens of these keys are verified with. It ends with Close of the signing keys.
func (k *SigningKeys) Source() *KeySource { return k.source }

// Mint signs a token with the key whose turn it is.
func (k *SigningKeys) Mint(claims Claims) (string, error) {
	now := k.now()
	key, err := k.ring.Load().Signer(now)
	if err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	return key.Mint(claims, now)
}

// JWKS are the public halves as a JSON Web Key set.
func (k *SigningKeys) JWKS() ([]byte, error) { return k.ring.Load().JWKS(k.now()) }

// Close ends following the file. The last good keys stay in use.
func (k *SigningKeys) Close() { k.source.Close() }
