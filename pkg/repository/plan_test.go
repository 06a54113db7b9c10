package repository

import (
	"fmt"
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
		"lock named cards": x.lockNamed.text, "lock cards": x.lock.text, "parents": x.parents.text,
		"holds": x.holds.text, "tokens": x.tokens.text, "refs by card": x.cardRefs.text, "refs by token": x.tokenRefs.text,
		"refs by parent": x.parentRefs.text, "refs": x.refs.text, "refs of tokens": x.cardTokenRefs.text,
		"update cards": x.updateCards.single, "post cards": x.postCards.single,
		"update holds": x.updateHolds.single, "update tokens": x.updateTokens.single,
	} {
		plan := planOf(t, s, text)
		if !strings.Contains(plan, "SEARCH") || strings.Contains(plan, "(account_id=?)") {
			t.Errorf("%s reads the whole account:\n%s", name, plan)
		}
	}
}

func planOf(t *testing.T, s *Store, text string) string {
	t.Helper()
	var args []any
	for n := 1; strings.Contains(text, fmt.Sprintf("?%d", n)); n++ {
		args = append(args, "[]")
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
