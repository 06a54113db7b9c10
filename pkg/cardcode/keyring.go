package cardcode

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// MaxKeys bounds the keys of a keyring: each token that is looked up is hashed under
// every one of them.
const MaxKeys = 16

// comingMark begins the line of a key that is known and not used yet.
const comingMark = "next:"

// Errors of a keyring's text. None of them quotes it.
var (
	ErrNoKey      = errors.New("there is no data key in use, but one that begins with " + comingMark + " at most")
	ErrTooMany    = fmt.Errorf("there are more than %d data keys", MaxKeys)
	ErrSameKey    = errors.New("the same data key stands there twice")
	ErrTwoComing  = errors.New("there are two data keys that begin with " + comingMark + " and one at most may be on its way")
	ErrNoneComing = errors.New("there is no data key that begins with " + comingMark + " and could be put to use")
)

// Keyring is the data keys of a server: the current one, under which it stores what is
// new, the ones before, which find what was stored then, and perhaps one to come, of
// which other servers may make use already. The zero Keyring has no key.
type Keyring struct {
	keys     []Key
	isComing bool // the last one
}

// NewKeyring makes a keyring, the current key first.
func NewKeyring(current Key, before ...Key) Keyring {
	return Keyring{keys: append([]Key{current}, before...)}
}

// ParseKeyring reads data keys, one a line as [ParseKey] reads it, the current one
// first. A line that begins with "next:" has the key to come. Blank lines and lines that
// begin with # mean nothing.
func ParseKeyring(text string) (Keyring, error) { return parseKeyring(text, "\n", "line") }

// ParseKeyList reads the same from one line, with commas in place of the line ends.
func ParseKeyList(text string) (Keyring, error) { return parseKeyring(text, ",", "key") }

// parseKeyring reads keys between separators. An error counts them in units.
func parseKeyring(text, separator, unit string) (Keyring, error) {
	var ring Keyring
	var coming []Key
	seen := map[string]int{} // fingerprint → number of its line
	lines := strings.Split(text, separator)
	for i, line := range lines {
		written, isComing := keyLine(line)
		if written == "" {
			continue
		}
		key, err := ParseKey(written)
		if err != nil {
			if len(lines) > 1 {
				err = fmt.Errorf("%s %d: %w", unit, i+1, err)
			}
			return Keyring{}, err
		}
		if first, again := seen[key.Fingerprint()]; again {
			return Keyring{}, fmt.Errorf("%ss %d and %d: %w", unit, first, i+1, ErrSameKey)
		}
		seen[key.Fingerprint()] = i + 1
		if isComing {
			coming = append(coming, key)
		} else {
			ring.keys = append(ring.keys, key)
		}
	}
	switch {
	case len(seen) == 0:
		return Keyring{}, ErrKeyText
	case len(ring.keys) == 0:
		return Keyring{}, ErrNoKey
	case len(coming) > 1:
		return Keyring{}, ErrTwoComing
	case len(seen) > MaxKeys:
		return Keyring{}, ErrTooMany
	}
	ring.keys, ring.isComing = append(ring.keys, coming...), len(coming) > 0
	return ring, nil
}

// keyLine is the key of a line, empty when it has none.
func keyLine(line string) (written string, isComing bool) {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "#") {
		return "", false
	}
	written, isComing = strings.CutPrefix(line, comingMark)
	if isComing && strings.TrimSpace(written) == "" {
		return line, false // a mark without a key is no key, not a blank line
	}
	return written, isComing
}

// WithNewKey writes the text of a keyring with a key in front of the others, which makes
// it the current one; the rest of the text is left as it is.
func WithNewKey(text string, key Key) string { return key.Reveal() + "\n" + text }

// WithComingKey writes the text of a keyring with a key to come behind the others.
func WithComingKey(text string, key Key) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + comingMark + key.Reveal() + "\n"
}

// WithPromotedKey writes the text of a keyring whose key to come is the current one.
// [ErrNoneComing] says that it has none.
func WithPromotedKey(text string) (string, error) {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if written, isComing := keyLine(line); isComing {
			rest := strings.Join(append(lines[:i:i], lines[i+1:]...), "")
			return strings.TrimSpace(written) + "\n" + rest, nil
		}
	}
	return "", ErrNoneComing
}

// Current is the key for what is new.
func (r Keyring) Current() Key { return r.keys[0] }

// Others are all other keys.
func (r Keyring) Others() []Key { return r.keys[1:] }

// Coming is the key that is known and not used yet, if there is one.
func (r Keyring) Coming() (Key, bool) {
	if !r.isComing {
		return Key{}, false
	}
	return r.keys[len(r.keys)-1], true
}

// Key finds a key by its id.
func (r Keyring) Key(id string) (Key, bool) {
	for _, key := range r.keys {
		if key.ID() == id {
			return key, true
		}
	}
	return Key{}, false
}

// All are the keys, the current one first.
func (r Keyring) All() []Key { return r.keys }

// String hides the keys.
func (Keyring) String() string { return redacted }

// GoString hides the keys from %#v.
func (Keyring) GoString() string { return redacted }

// Format hides the keys from every verb.
func (Keyring) Format(state fmt.State, _ rune) { writeRedacted(state) }

// LogValue hides the keys from slog.
func (Keyring) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON hides the keys.
func (Keyring) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText hides the keys from the encoders that prefer text.
func (Keyring) MarshalText() ([]byte, error) { return []byte(redacted), nil }
