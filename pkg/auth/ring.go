package auth

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// maxSigningKeys bounds the keys of a ring.
const maxSigningKeys = 16

// Errors of a ring. None of them quotes the file.
var (
	errNoRing    = errors.New("not a file of private Ed25519 keys in JSON Web Key form")
	errNoSigner  = errors.New("no key of the file may sign now")
	errRingFull  = fmt.Errorf("the file has %d keys already; wait until some have ended", maxSigningKeys)
	errKeyToCome = errors.New("the file has a key already that will sign later")
)

// Ring is the signing keys of a server, each with the time from which it signs and the time until which its tokens are
// accepted. At any moment the newest key that has begun is the one that signs; a new key can so be published before its first token
// exists, and an old one until its last has expired. Printing and logging hide the keys.
type Ring struct {
	keys []ringKey // in the order in which they sign
}

type ringKey struct {
	*LocalKey
	from  time.Time // zero for ever
	until time.Time // zero for no end
}

// storedKey is a key in a ring's file: a JSON Web Key and two members of our own.
type storedKey struct {
	KeyType string `json:"kty"`
	Curve   string `json:"crv"`
	Private string `json:"d"`
	Public  string `json:"x"`
	From    int64  `json:"signs_from,omitempty"`     // seconds since 1970
	Until   int64  `json:"accepted_until,omitempty"` // seconds since 1970
}

// LoadRing loads the keys of a file: a set of them, or one alone. fs.ErrNotExist says that there is no file, and a file that others
// may read is ErrReadableByOthers.
func LoadRing(path string) (Ring, error) {
	content, err := ReadSecretFile(path)
	if err != nil {
		return Ring{}, fmt.Errorf("load signing keys: %w", err)
	}
	ring, err := ParseRing(content)
	if err != nil {
		return Ring{}, fmt.Errorf("load signing keys %s: %w", path, err)
	}
	return ring, nil
}

// OpenRing is LoadRing, and creates the file with one new key where there is none. Processes that start at the same time end up with
// the same key.
func OpenRing(path string) (Ring, error) {
	ring, err := LoadRing(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return ring, err
	}
	if err := CreateRing(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return Ring{}, err
	}
	return LoadRing(path)
}

// CreateRing writes a new file with one new key; fs.ErrExist says that there is such a file.
func CreateRing(path string) error {
	content, err := newLocalKeyFile()
	if err != nil {
		return err
	}
	if err := CreateSecretFile(path, content); err != nil {
		return fmt.Errorf("create signing key: %w", err)
	}
	return nil
}

// ParseRing reads the content of a file.
func ParseRing(content []byte) (Ring, error) {
	members, ok := parseObject(content)
	if !ok {
		return Ring{}, errNoRing
	}
	items := []json.RawMessage{content}
	if members.has("keys") && json.Unmarshal(members["keys"], &items) != nil {
		return Ring{}, errNoRing
	}
	if len(items) == 0 || len(items) > maxSigningKeys {
		return Ring{}, errNoRing
	}
	var ring Ring
	for _, item := range items {
		key, err := parseRingKey(item)
		if err != nil {
			return Ring{}, err
		}
		if last := len(ring.keys) - 1; last >= 0 && key.from.Before(ring.keys[last].from) {
			return Ring{}, errNoRing
		}
		ring.keys = append(ring.keys, key)
	}
	return ring, nil
}

func parseRingKey(item []byte) (ringKey, error) {
	var stored storedKey
	if json.Unmarshal(item, &stored) != nil {
		return ringKey{}, errNoRing
	}
	local, err := parseLocalKey(item)
	if err != nil {
		return ringKey{}, errNoRing
	}
	key := ringKey{LocalKey: local}
	if stored.From != 0 {
		key.from = time.Unix(stored.From, 0)
	}
	if stored.Until != 0 {
		key.until = time.Unix(stored.Until, 0)
	}
	return key, nil
}

// Encode is the content of the ring's file, in clear.
func (r Ring) Encode() ([]byte, error) {
	stored := make([]storedKey, len(r.keys))
	for i, key := range r.keys {
		encode := base64.RawURLEncoding.EncodeToString
		stored[i] = storedKey{KeyType: "OKP", Curve: "Ed25519", Private: encode(key.private.Seed()), Public: encode(key.public())}
		if !key.from.IsZero() {
			stored[i].From = key.from.Unix()
		}
		if !key.until.IsZero() {
			stored[i].Until = key.until.Unix()
		}
	}
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(map[string][]storedKey{"keys": stored}); err != nil {
		return nil, fmt.Errorf("encode signing keys: %w", err)
	}
	return content.Bytes(), nil
}

func (k *LocalKey) public() ed25519.PublicKey { return k.private.Public().(ed25519.PublicKey) }

// Rotate returns the ring with a new key that signs from a moment on. What the others have signed by then is accepted for the time of
// keep longer; those whose time has ended by now are left out.
func (r Ring) Rotate(now, from time.Time, keep time.Duration) (Ring, error) {
	from = from.Truncate(time.Second)
	if last := r.keys[len(r.keys)-1]; last.from.After(now) {
		return Ring{}, errKeyToCome
	}
	var rotated Ring
	for _, key := range r.keys {
		if key.until.IsZero() {
			key.until = from.Add(keep)
		}
		if key.accepted(now) {
			rotated.keys = append(rotated.keys, key)
		}
	}
	if len(rotated.keys) >= maxSigningKeys {
		return Ring{}, errRingFull
	}
	content, err := newLocalKeyFile()
	if err != nil {
		return Ring{}, err
	}
	fresh, err := parseLocalKey(content)
	if err != nil {
		return Ring{}, err
	}
	rotated.keys = append(rotated.keys, ringKey{LocalKey: fresh, from: from})
	return rotated, nil
}

// accepted says whether tokens of the key are still taken.
func (k ringKey) accepted(now time.Time) bool { return k.until.IsZero() || now.Before(k.until) }

// Signer is the key that signs at a moment.
func (r Ring) Signer(now time.Time) (*LocalKey, error) {
	for i := len(r.keys) - 1; i >= 0; i-- {
		if key := r.keys[i]; !key.from.After(now) && key.accepted(now) {
			return key.LocalKey, nil
		}
	}
	return nil, errNoSigner
}

// JWKS are the public halves as a JSON Web Key set: of every key whose tokens are accepted at a moment, and of one to come. As a token
// does, a key has the leeway for clocks that differ.
func (r Ring) JWKS(now time.Time) ([]byte, error) {
	public := []jwk.Key{}
	for _, key := range r.keys {
		if !key.accepted(now.Add(-Leeway)) {
			continue
		}
		half, err := key.publicKey()
		if err != nil {
			return nil, err
		}
		public = append(public, half)
	}
	return json.Marshal(map[string][]jwk.Key{"keys": public})
}

// RingEntry describes a key of a ring.
type RingEntry struct {
	ID string
	// From is when it begins to sign; zero for always. Until is when its tokens end; zero for never.
	From, Until time.Time
}

// Entries describe the keys, in the order in which they sign.
func (r Ring) Entries() []RingEntry {
	entries := make([]RingEntry, len(r.keys))
	for i, key := range r.keys {
		entries[i] = RingEntry{ID: key.id, From: key.from, Until: key.until}
	}
	return entries
}

// Format hides the keys from every verb.
func (Ring) Format(state fmt.State, verb rune) { (*LocalKey)(nil).Format(state, verb) }

// LogValue hides the keys from slog.
func (Ring) LogValue() slog.Value { return slog.StringValue(hiddenKey) }

// MarshalJSON hides the keys.
func (Ring) MarshalJSON() ([]byte, error) { return json.Marshal(hiddenKey) }
