package cardcode

import (
	"errors"
	"strings"
	"testing"
)

func TestSealedValuesOpenOnlyWhereTheyBelong(t *testing.T) {
	t.Parallel()
	key, other := mustKey(t), mustKey(t)
	const account, object, value = "T00000001", "object", Secret("a secret of sixteen")
	sealed, err := key.Seal(Hook, account, object, value)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(sealed, string(value)) {
		t.Error("the sealed text shows the value")
	}
	if again, err := key.Seal(Hook, account, object, value); err != nil || again == sealed {
		t.Errorf("sealed twice, the same text comes out: %v", err)
	}
	if opened, err := key.Open(Hook, account, object, sealed); err != nil || opened != value {
		t.Errorf("opened: %q, %v", opened.Reveal(), err)
	}
	changed := []byte(sealed)
	changed[len(changed)/2] ^= 1
	for name, open := range map[string]func() (Secret, error){
		"another key":     func() (Secret, error) { return other.Open(Hook, account, object, sealed) },
		"another purpose": func() (Secret, error) { return key.Open(Token, account, object, sealed) },
		"another account": func() (Secret, error) { return key.Open(Hook, "T00000002", object, sealed) },
		"another object":  func() (Secret, error) { return key.Open(Hook, account, "other", sealed) },
		"shifted parts":   func() (Secret, error) { return key.Open(Hook, account+object[:1], object[1:], sealed) },
		"a changed text":  func() (Secret, error) { return key.Open(Hook, account, object, string(changed)) },
		"half a text":     func() (Secret, error) { return key.Open(Hook, account, object, sealed[:8]) },
		"no text":         func() (Secret, error) { return key.Open(Hook, account, object, "") },
		"no base64":       func() (Secret, error) { return key.Open(Hook, account, object, "%%%") },
	} {
		if opened, err := open(); !errors.Is(err, ErrSealed) || opened != "" {
			t.Errorf("%s: %q, %v", name, opened.Reveal(), err)
		}
	}
}

func mustKey(t *testing.T) Key {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// What was sealed by an earlier version opens in this one.
func TestSealedBefore(t *testing.T) {
	t.Parallel()
	key, err := ParseKey(strings.Repeat("ab", KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	const sealed = "2ZZ30YgZiDUwhbGci8wIqKQqgKOB95EUwvJg3lDJJWnlQoKLPntq"
	opened, err := key.Open(Hook, "T12345678", "0197a6d2-0000-7000-8000-000000000001", sealed)
	if err != nil || opened.Reveal() != "whsec_known" {
		t.Errorf("opened: %q, %v", opened.Reveal(), err)
	}
}
