package repository

import (
	"path/filepath"
	"strings"
	"testing"
)

// SQLite must begin each statement of the write path with the batch and find each
// row by its whole key. It once began with the account and read the batch anew for
// each of its rows: nothing was wrong but the time, which grew with the account.
func TestSQLitePlans(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{SQLitePath: filepath.Join(t.TempDir(), "kort.db"), Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	x := &s.texts
	for name, text := range map[string]string{
		"cards of tokens": x.tokenCards, "cards of transactions": x.txnCards, "lock cards": x.lockCards,
		"refs of transactions": x.refTxns, "refs of tokens": x.refTokens, "holds": x.holds, "tokens": x.tokens,
		"update cards": x.updateCards, "update holds": x.updateHolds, "update tokens": x.updateTokens,
	} {
		plan := planOf(t, s, text)
		if !strings.Contains(plan, "SEARCH") || strings.Contains(plan, "(account_id=?)") {
			t.Errorf("%s reads the whole account:\n%s", name, plan)
		}
	}
}

func planOf(t *testing.T, s *Store, text string) string {
	t.Helper()
	args := make([]any, strings.Count(text, "json_each")+1)
	args[0] = "T12345678"
	for i := range args[1:] {
		args[i+1] = "[]"
	}
	rows, err := s.read.DB.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(detail + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
