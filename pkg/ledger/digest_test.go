package ledger_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// sample is a transaction with every field set.
func sample() ledger.Transaction {
	return ledger.Transaction{
		ID:   uuid.MustParse("0195a0f0-0000-7000-8000-000000000001"),
		Card: uuid.MustParse("0195a0f0-0000-7000-8000-000000000002"), Seq: 3,
		Type: ledger.TypeDrawdown, Amount: 300, Currency: ledger.NOK, RefID: "order-1",
		Parent:  uuid.MustParse("0195a0f0-0000-7000-8000-000000000003"),
		Address: ledger.ByTransaction, Token: uuid.MustParse("0195a0f0-0000-7000-8000-000000000004"),
		AmountGiven: true, Metadata: `{"a":1}`, OriginatedBy: "till-1",
		CreatedAt: 1_767_268_800_000_001, CreatedBy: "alice",
	}
}

// Stored histories carry these digests. When this test fails, the layout has
// changed and every stored chain breaks: a new layout needs a new version and a way
// to check the old one.
func TestGoldenDigest(t *testing.T) {
	t.Parallel()
	txn, empty := sample(), ledger.Transaction{}
	first := ledger.Chain(ledger.Digest{}, "T12345678", &txn)
	for got, want := range map[ledger.Digest]string{
		first:                                  "25d299fc60cc052b2c7bc58038fe066ebeb885aa588a13ec8960fa74d64eb327",
		ledger.Chain(first, "T12345678", &txn): "6baf8602c12bfd14dda660e8af42ed9718d6a0f2fb6847bb157e1e356072648a",
		ledger.Chain(ledger.Digest{}, "P00000000", &empty): "73ddb4a4e06112d0bf0cf1cfe299a9ac489fb1be58195f874c602326d1320a9f",
	} {
		if got.String() != want {
			t.Errorf("digest is %s, must be %s", got, want)
		}
	}
}

// Every field of a row is part of its digest, so that none can be edited unseen.
func TestEachFieldChangesTheDigest(t *testing.T) {
	t.Parallel()
	txn := sample()
	want := ledger.Chain(ledger.Digest{}, testAccount, &txn)
	seen := map[ledger.Digest]string{want: "the row itself"}
	note := func(name string, got ledger.Digest) {
		if other, taken := seen[got]; taken {
			t.Errorf("a change of %s gives the digest of %s", name, other)
		}
		seen[got] = "a change of " + name
	}
	fields := reflect.TypeFor[ledger.Transaction]()
	for i := range fields.NumField() {
		changed := sample()
		value := reflect.ValueOf(&changed).Elem().Field(i)
		if fields.Field(i).Name == "Digest" {
			value.Index(0).SetUint(1)
			if ledger.Chain(ledger.Digest{}, testAccount, &changed) != want {
				t.Error("the digest depends on itself")
			}
			continue
		}
		alter(t, value)
		note(fields.Field(i).Name, ledger.Chain(ledger.Digest{}, testAccount, &changed))
		if value.Kind() == reflect.Bool {
			continue // there is no third value
		}
		value.SetZero()
		note("no "+fields.Field(i).Name, ledger.Chain(ledger.Digest{}, testAccount, &changed))
	}
	note("the account", ledger.Chain(ledger.Digest{}, "T12345679", &txn))
	note("the digest before", ledger.Chain(ledger.Digest{31: 1}, testAccount, &txn))
}

// alter gives a field another value.
func alter(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Array:
		v.Index(15).SetUint(v.Index(15).Uint() ^ 0x80)
	default:
		t.Fatalf("a transaction has a field of kind %s: add it here and to the digest", v.Kind())
	}
}

// Text that moves from one field to the next one makes another row.
func TestFieldsDoNotRunTogether(t *testing.T) {
	t.Parallel()
	a, b := sample(), sample()
	a.Metadata, a.OriginatedBy = "ab", "c"
	b.Metadata, b.OriginatedBy = "a", "bc"
	if ledger.Chain(ledger.Digest{}, testAccount, &a) == ledger.Chain(ledger.Digest{}, testAccount, &b) {
		t.Error("two rows share a digest")
	}
}

func TestParseDigest(t *testing.T) {
	t.Parallel()
	txn := sample()
	want := ledger.Chain(ledger.Digest{}, testAccount, &txn)
	if got, err := ledger.ParseDigest(want.String()); err != nil || got != want {
		t.Errorf("%s %v", got, err)
	}
	for name, text := range map[string]string{
		"empty": "", "short": want.String()[2:], "long": want.String() + "00", "odd": want.String()[1:],
		"no number": strings.Repeat("z", 64),
	} {
		if got, err := ledger.ParseDigest(text); !errors.Is(err, ledger.ErrCorrupt) || got != (ledger.Digest{}) {
			t.Errorf("%s: %s %v", name, got, err)
		}
	}
}
