package repository

import (
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// A token that has expired finds no row, so that to turn it away takes as long as to turn
// away one that nobody ever had.
func TestExpiredTokenFindsNoRow(t *testing.T) {
	t.Parallel()
	s := recallStore(t)
	card, err := s.Card(t.Context(), recallAccount, "card")
	if err != nil {
		t.Fatal(err)
	}
	expiry := ledger.Micros(1000)
	err = s.Write(t.Context(), func(tx *Tx) error {
		return tx.Save(t.Context(), recallAccount, ledger.Changes{NewTokens: []ledger.Token{{
			ID: uuid.Must(uuid.NewV7()), Card: card.ID, Hash: "hash", KeyID: "key", Masked: "m", Shape: "s", CreatedBy: "tests", ExpiresAt: &expiry,
		}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		hash string
		now  ledger.Micros
		rows int
	}{
		{"hash", expiry - 1, 2}, // the token and its card
		{"hash", expiry, 0},
		{"unknown", expiry - 1, 0},
	} {
		statements, err := s.details.byToken(recallAccount, test.now, []*detail{{hashes: []string{test.hash}, now: test.now}})
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		for i := range statements {
			each := statements[i].each
			statements[i].each = func() error {
				rows++
				return each()
			}
		}
		if err := s.details.execute(t.Context(), statements); err != nil || rows != test.rows {
			t.Errorf("%s at %d: %d rows, want %d (%v)", test.hash, test.now, rows, test.rows, err)
		}
	}
}
