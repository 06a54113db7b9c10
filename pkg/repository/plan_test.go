package repository

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kortwallet/kort/pkg/pgtest"
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
	texts := textsByKey(s)
	texts["a live card"], texts["the card of a token"], texts["tokens of a card"] = s.texts.liveCard.text, s.texts.tokenCard.text, s.texts.cardTokens.text
	for name, text := range texts {
		plan := planOf(t, s, text)
		if !strings.Contains(plan, "SEARCH") || strings.Contains(plan, "(account_id=?)") {
			t.Errorf("%s reads the whole account:\n%s", name, plan)
		}
	}
}

// textsByKey are the statements of the write path that find rows, by name.
func textsByKey(s *Store) map[string]string {
	x := &s.texts
	return map[string]string{
		"lock named cards": x.lockNamed.text, "lock cards": x.lock.text, "parents": x.parents.text,
		"holds": x.holds.text, "tokens": x.tokens.text, "refs by card": x.cardRefs.text, "refs by token": x.tokenRefs.text,
		"refs by parent": x.parentRefs.text, "refs": x.refs.text, "refs of tokens": x.cardTokenRefs.text,
		"update cards": x.updateCards.single, "post cards": x.postCards.single,
		"update holds": x.updateHolds.single, "update tokens": x.updateTokens.single,
	}
}

// However the cards are spread over the accounts, and the transactions over the cards,
// PostgreSQL must find each row by its whole key. With a thousand small accounts beside
// a large one it took every account for small, and read the large one from end to end
// for each drawdown.
func TestPostgresPlans(t *testing.T) {
	t.Parallel()
	for name, population := range map[string]string{
		"few cards":                `SELECT 'T10000000', n, 1 FROM generate_series(1, 200) AS n`,
		"one account":              `SELECT 'T10000000', n, 1 FROM generate_series(1, 5000) AS n`,
		"many accounts":            `SELECT 'T' || 20000000 + n, 1, 1 FROM generate_series(1, 5000) AS n`,
		"one account beside many":  `SELECT 'T10000000', n, 1 FROM generate_series(1, 2500) AS n UNION ALL SELECT 'T' || 20000000 + n, 1, 1 FROM generate_series(1, 2500) AS n`,
		"one card beside many":     `SELECT 'T10000000', 1, n FROM generate_series(1, 2500) AS n UNION ALL SELECT 'T10000000', n, 1 FROM generate_series(2, 2500) AS n`,
		"one card beside accounts": `SELECT 'T10000000', 1, n FROM generate_series(1, 2500) AS n UNION ALL SELECT 'T' || 20000000 + n, 1, 1 FROM generate_series(1, 2500) AS n`,
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
			populate(t, s, population)
			texts := textsByKey(s)
			x := &s.texts
			texts["update many cards"], texts["post many cards"] = x.updateCards.whole, x.postCards.whole
			texts["update many holds"], texts["update many tokens"] = x.updateHolds.whole, x.updateTokens.whole
			details := &s.details.texts
			texts["details of cards"], texts["their tokens"] = details.cards.text, details.cardTokens.text
			texts["tokens by hash"], texts["their cards"] = details.tokens.text, details.tokenCards.text
			for name, text := range texts {
				for _, problem := range notByKey(t, s, text) {
					t.Errorf("%s: %s", name, problem)
				}
			}
		})
	}
}

// populate makes cards, transactions, holds and tokens of what the query says: account,
// number of the card, number of its transaction.
func populate(t *testing.T, s *Store, query string) {
	t.Helper()
	for _, text := range []string{
		`CREATE TEMPORARY TABLE p AS SELECT account_id, md5(account_id || card)::uuid AS card, md5(account_id || card || '-' || seq)::uuid AS id, seq
			FROM (` + query + `) AS p (account_id, card, seq)`,
		`INSERT INTO cards (account_id, id, card_id, type, created_at, created_by, amount, activated, amount_funds, amount_drawdown,
				amount_pending, amount_reserved, open_holds, seq, digest, last_txn_at, pin_failures, search_text)
			SELECT DISTINCT account_id, card, card::text, 'gift_card', 0, '', 0, true, 0, 0, 0, 0, 0, 0, '', 0, 0, '' FROM p`,
		`INSERT INTO transactions (account_id, id, card_object_id, seq, type, amount, currency, ref_id, addressed_by, amount_given, created_at, created_by, digest)
			SELECT account_id, id, card, seq, 'fund', 1, 'NOK', id::text, 'card_id', true, 0, '', '' FROM p`,
		`INSERT INTO holds (account_id, id, card_object_id, amount, locked, open) SELECT account_id, id, card, 1, 0, false FROM p`,
		`INSERT INTO tokens (account_id, id, card_object_id, ref_id, hash, key_id, masked, shape, single_use, created_at, created_by)
			SELECT account_id, id, card, id::text, id::text, '', '', '', false, 0, '' FROM p`,
		`ANALYZE cards, transactions, holds, tokens`,
	} {
		if _, err := s.read.DB.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// notByKey says which tables a statement does not read by a whole key, planned as on
// the connections that write.
func notByKey(t *testing.T, s *Store, text string) (problems []string) {
	t.Helper()
	conn, err := s.write.DB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	arguments := []string{"NULL"}
	for n := 2; strings.Contains(text, fmt.Sprintf("$%d", n)); n++ {
		arguments = append(arguments, "NULL")
	}
	var plan string
	for _, step := range []string{"DEALLOCATE ALL", "PREPARE x AS " + text} {
		if _, err := conn.ExecContext(t.Context(), step, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
	explain := fmt.Sprintf("EXPLAIN (FORMAT JSON) EXECUTE x (%s)", strings.Join(arguments, ", "))
	if err := conn.QueryRowContext(t.Context(), explain, pgx.QueryExecModeSimpleProtocol).Scan(&plan); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	// The last column of each index that has a whole key. Of tokens_card all are wanted.
	key := map[string]string{
		"cards_pkey": "id", "cards_live_card_id": "card_id", "transactions_pkey": "id", "transactions_ref_id": "ref_id",
		"holds_pkey": "id", "tokens_pkey": "id", "tokens_hash": "hash", "tokens_ref_id": "ref_id", "tokens_card": "card_object_id",
		"hook_deliveries_pkey": "id", "hook_deliveries_due": "next_at", "hook_deliveries_stream": "stream_id", "hook_deliveries_settled": "settled_at",
		"hook_subscriptions_pkey": "account_id",
	}
	var roots []struct{ Plan planNode }
	if err := json.Unmarshal([]byte(plan), &roots); err != nil || len(roots) != 1 {
		t.Fatalf("%s: %v", plan, err)
	}
	roots[0].Plan.walk(func(n planNode) {
		column := key[n.Index]
		scans := n.Relation != "" && n.Type != "ModifyTable"
		if scans && (column == "" || !regexp.MustCompile(`\(\(?(\w+\.)?`+column+`\b`).MatchString(n.Condition)) {
			problems = append(problems, fmt.Sprintf("%s of %s by %q with %s", n.Type, n.Relation, n.Index, n.Condition))
		}
	})
	return problems
}

// planNode is a step of a plan.
type planNode struct {
	Type      string     `json:"Node Type"`
	Relation  string     `json:"Relation Name"`
	Index     string     `json:"Index Name"`
	Condition string     `json:"Index Cond"`
	Plans     []planNode `json:"Plans"`
}

func (n planNode) walk(visit func(planNode)) {
	visit(n)
	for _, inner := range n.Plans {
		inner.walk(visit)
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
