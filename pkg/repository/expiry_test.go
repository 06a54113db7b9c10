package repository

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/pgtest"
)

// The cards that expire in a short time are found by the index of expiry, by its order, and
// those that are picked by their ids are not: an engine that does otherwise reads all that
// ever expired, and nothing is wrong but the time.
func TestExpiryIsReadByItsIndex(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]func() Options{
		"sqlite":   func() Options { return Options{SQLitePath: filepath.Join(t.TempDir(), "kort.db"), Ephemeral: true} },
		"postgres": func() Options { return Options{PostgresURL: pgtest.URL(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			var texts []string
			o := options()
			o.Observe = func(text string) { texts = append(texts, text) }
			s, err := Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			if _, err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			addExpiring(t, s, 50)
			from, to := int64(10), int64(20)
			for _, f := range []Filter{{Expires: Range{&from, &to}}, {Status: "expired", Now: 30}} {
				if cards, _, err := s.Cards(t.Context(), expiryAccount, f, Page{Limit: 5}); err != nil || len(cards) != 5 {
					t.Fatalf("%d cards, %v", len(cards), err)
				}
			}
			byExpiry, byID := 0, 0
			for _, text := range texts {
				plan := listPlan(t, s, text)
				switch {
				case strings.Contains(text, "(c.expires_at + 0)"):
					byExpiry++
					if !strings.Contains(plan, "cards_expiry") || strings.Contains(plan, "cards_expiry (account_id=?)") || strings.Contains(plan, "Sort Key: ((") {
						t.Errorf("%s is planned as\n%s", text, plan)
					}
				case strings.Contains(text, "c.id IN ("):
					byID++
					if strings.Contains(plan, "cards_expiry") {
						t.Errorf("%s is planned as\n%s", text, plan)
					}
				}
			}
			if byExpiry < 2 || byID < 2 {
				t.Errorf("only %d and %d statements were seen in %s", byExpiry, byID, strings.Join(texts, "\n"))
			}
		})
	}
}

const expiryAccount = "T10000000"

// addExpiring adds cards that expire one after the other from 1 on.
func addExpiring(t *testing.T, s *Store, cards int) {
	t.Helper()
	var rows []string
	for n := range cards {
		rows = append(rows, fmt.Sprintf("('%s', '%s', 'card%d', 'gift_card', 0, '', 0, true, %d, 0, 0, 0, 0, 0, 0, '%064d', 0, 0, '')",
			expiryAccount, uuid.Must(uuid.NewV7()), n, n+1, 0))
	}
	if _, err := s.write.DB.ExecContext(t.Context(), `INSERT INTO cards (account_id, id, card_id, type, created_at, created_by, amount, activated,
		expires_at, amount_funds, amount_drawdown, amount_pending, amount_reserved, open_holds, seq, digest, last_txn_at, pin_failures, search_text)
		VALUES `+strings.Join(rows, ", ")); err != nil {
		t.Fatal(err)
	}
}

// listPlan explains a statement of a list as it is planned there.
func listPlan(t *testing.T, s *Store, text string) string {
	t.Helper()
	if !slices.ContainsFunc([]string{"SELECT", "WITH"}, func(word string) bool { return strings.HasPrefix(text, word) }) {
		return ""
	}
	l, end, err := s.newListing(t.Context(), expiryAccount, Filter{})
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	explain := "EXPLAIN QUERY PLAN "
	if s.Postgres() {
		explain = "EXPLAIN "
	}
	rows, err := l.tx.Tx.QueryContext(t.Context(), explain+text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var plan strings.Builder
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&plan, *values[len(values)-1].(*any))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
