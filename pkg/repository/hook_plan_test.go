package repository

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kortwallet/kort/pkg/pgtest"
)

// hookTexts are the statements about deliveries, by name.
func hookTexts(s *Store) map[string]string {
	h := &s.texts.hooks
	return map[string]string{
		"subscribers": h.subscribers.text, "due": h.due.text, "take": h.take, "park": h.park, "settle": h.settle, "free": h.free, "wake": h.wake, "purge": h.purge,
	}
}

// However many deliveries wait, and however many were settled, each is found by its key:
// with the indexes of what is not settled at hand, PostgreSQL once read all that waited
// for each row that it changed.
func TestHookPlansOfPostgres(t *testing.T) {
	t.Parallel()
	for name, population := range map[string]string{
		"nothing":                   `SELECT 'T10000000', 1, n, n, false FROM generate_series(1, 0) AS n`,
		"all wait":                  `SELECT 'T10000000', 1, n % 100, n, false FROM generate_series(1, 5000) AS n`,
		"all of one card wait":      `SELECT 'T10000000', 1, 1, n, false FROM generate_series(1, 5000) AS n`,
		"nearly all are settled":    `SELECT 'T10000000', n % 5, n % 100, n, n % 1000 > 0 FROM generate_series(1, 5000) AS n`,
		"many accounts":             `SELECT 'T' || 20000000 + n, n, n, n, n % 2 = 0 FROM generate_series(1, 5000) AS n`,
		"one account beside others": `SELECT CASE WHEN n % 2 = 0 THEN 'T10000000' ELSE 'T' || 20000000 + n END, 1, n % 100, n, n % 3 = 0 FROM generate_series(1, 5000) AS n`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Open(t.Context(), Options{PostgresURL: pgtest.URL(t)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			if _, err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{
				`INSERT INTO hook_deliveries (account_id, subscription_id, id, event, stream_id, position, created_at, settled_at)
					SELECT account_id, md5(account_id || hook)::uuid, md5(account_id || n)::uuid, 'wallet_transaction', md5(account_id || '-' || card)::uuid, n, 0,
						CASE WHEN settled THEN 1 END FROM (` + population + `) AS p (account_id, hook, card, n, settled)`,
				`INSERT INTO hook_subscriptions (account_id, id, url, transactions, cards, active, secret, secret_key_id, created_at, created_by)
					SELECT DISTINCT account_id, subscription_id, '', true, true, true, '', '', 0, '' FROM hook_deliveries`,
				`ANALYZE hook_deliveries, hook_subscriptions`,
			} {
				if _, err := s.read.DB.ExecContext(t.Context(), text, pgx.QueryExecModeSimpleProtocol); err != nil {
					t.Fatalf("%s: %v", text, err)
				}
			}
			for name, text := range hookTexts(s) {
				for _, problem := range notByKey(t, s, text) {
					t.Errorf("%s: %s", name, problem)
				}
			}
		})
	}
}

// The same on SQLite.
func TestHookPlansOfSQLite(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{SQLitePath: filepath.Join(t.TempDir(), "kort.db"), Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, text := range hookTexts(s) {
		plan := planOf(t, s, text)
		for line := range strings.Lines(plan) {
			if strings.HasPrefix(line, "SEARCH p") { // of the few that were found
				continue
			}
			whole := strings.Contains(line, "id=?)") || strings.Contains(line, "stream_id=?") || strings.Contains(line, "next_at<?") || strings.Contains(line, "settled_at<?") || strings.Contains(line, "id<?)")
			if strings.Contains(line, "SCAN") || strings.Contains(line, "SEARCH") && !whole || strings.Contains(line, "(account_id=? AND subscription_id=?)") {
				t.Errorf("%s reads more than it has to:\n%s", name, plan)
				break
			}
		}
	}
}
