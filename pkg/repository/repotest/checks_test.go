package repotest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// The CHECK constraints are the last lock on balances: they hold even against a
// person with a SQL prompt.
func TestCheckConstraints(t *testing.T) {
	t.Parallel()
	const tooMuch = "9007199254740992"
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		w := newTaken(t)
		w.card.Balance = ledger.Balance{Funds: 100, Drawdown: 40, Pending: 20, Reserved: 30}
		repotest.Save(t, d.Store, repotest.Account, w.changes())
		raw := d.Raw(t)
		for _, c := range []struct{ table, set string }{
			{"cards", "amount = -1"},
			{"cards", "amount = " + tooMuch},
			{"cards", "amount_funds = -1"},
			{"cards", "amount_funds = " + tooMuch},
			{"cards", "amount_drawdown = -1"},
			{"cards", "amount_pending = -1"},
			{"cards", "amount_reserved = -1, amount_pending = -1"},
			{"cards", "amount_funds = 69"},
			{"cards", "amount_drawdown = 71"},
			{"cards", "amount_reserved = 61"},
			{"cards", "amount_pending = 31"},
			{"cards", "open_holds = -1"},
			{"cards", "seq = -1"},
			{"cards", "pin_failures = -1"},
			{"cards", "type = 'voucher'"},
			{"cards", "type = 'GIFT_CARD'"},
			{"transactions", "seq = 0"},
			{"transactions", "seq = -1"},
			{"transactions", "amount = -1"},
			{"transactions", "amount = " + tooMuch},
			{"transactions", "type = 'pending'"},
			{"transactions", "addressed_by = 'name'"},
			{"holds", "amount = -1, locked = -1"},
			{"holds", "locked = -1"},
			{"holds", "locked = 6"},
			{"holds", "amount = 4"},
		} {
			if err := raw.Exec(fmt.Sprintf("UPDATE %s SET %s", c.table, c.set)); err == nil {
				t.Errorf("%s accepts %s", c.table, c.set)
			}
		}
		for _, c := range []struct{ table, set string }{ // the last good value beside each limit
			{"cards", "amount = 9007199254740991, amount_funds = 9007199254740991"},
			{"cards", "amount = 0, amount_funds = 70, amount_drawdown = 40, amount_reserved = 30, amount_pending = 30"},
			{"cards", "open_holds = 0, seq = 0, pin_failures = 0, type = 'credit_note'"},
			{"transactions", "seq = 1, amount = 9007199254740991, type = 'voided', addressed_by = 'opening'"},
			{"holds", "amount = 0, locked = 0"},
		} {
			if err := raw.Exec(fmt.Sprintf("UPDATE %s SET %s", c.table, c.set)); err != nil {
				t.Errorf("%s refuses %s: %v", c.table, c.set, err)
			}
		}
	})
}

// A bad row that reaches Save is a defect, never a lost race: it must not be tried
// again, and it takes the whole batch with it.
func TestBadRowsAreNoConflict(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		good, bad := repotest.Card(t, "good"), repotest.Card(t, "bad")
		bad.Balance = ledger.Balance{Funds: 1, Drawdown: 2}
		err := repotest.TrySave(d.Store, repotest.Account, ledger.Changes{NewCards: []ledger.Card{good, bad}})
		if err == nil || isOurs(err) {
			t.Errorf("a card with more drawn than funded: %v, want an error of no special kind", err)
		}
		if n := d.Raw(t).Number(t, "SELECT count(*) FROM cards"); n != 0 {
			t.Errorf("%d cards were written", n)
		}
	})
}

// NOT NULL is on every column that the domain always has.
func TestNullsAreRefused(t *testing.T) {
	t.Parallel()
	may := map[string]map[string]bool{
		"cards": set("customer_id", "name", "originated_by", "metadata", "currency", "activation_id", "active_from",
			"expires_at", "pin_id", "pin_format", "pin_hash", "pin_key_id", "pin_locked_until", "deleted_at", "deleted_by",
			"deletion_id"),
		"transactions":      set("parent_id", "token_id", "metadata", "originated_by", "available_after", "balance_after"),
		"holds":             set(),
		"tokens":            set("ref_id", "format", "expires_in", "expires_at", "spent_by", "metadata"),
		"data_keys":         set(),
		"current_data_keys": set(),
		"card_search":       set(),
	}
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		repotest.Save(t, d.Store, repotest.Account, newTaken(t).changes())
		if err := claim(t, d.Store, "key fingerprint"); err != nil {
			t.Fatal(err)
		}
		raw := d.Raw(t)
		for table, nullable := range may {
			for _, column := range raw.Columns(t, table) {
				err := raw.Exec(fmt.Sprintf("UPDATE %s SET %s = NULL", table, column))
				if (err == nil) != nullable[column] {
					t.Errorf("%s.%s set to NULL: %v", table, column, err)
				}
			}
		}
	})
}

func set(names ...string) map[string]bool {
	all := map[string]bool{}
	for _, name := range names {
		all[name] = true
	}
	return all
}

// isOurs tells whether an error invites another try.
func isOurs(err error) bool {
	for _, kind := range []error{repository.ErrConflict, repository.ErrUnavailable, repository.ErrNotFound} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
