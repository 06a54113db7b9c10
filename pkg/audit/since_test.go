package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/audit"
	"github.com/kortwallet/kort/pkg/ledger"
)

// moment is when the states of these tests were saved.
var moment = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// saved audits, and returns the state that it leaves behind.
func (db *database) saved(o audit.Options) []byte {
	db.t.Helper()
	var state bytes.Buffer
	o.Save = audit.NewStateWriter(&state, moment, o.Account)
	db.clean(o)
	if err := o.Save.Close(); err != nil {
		db.t.Fatal(err)
	}
	return state.Bytes()
}

func opened(t testing.TB, state []byte) *audit.State {
	t.Helper()
	s, err := audit.OpenState(bytes.NewReader(state))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSinceSeesWhatAFullAuditSees goes on from state to state while operations are
// posted: each must be clean, read only what is new, and leave the very state behind
// that a full audit does.
func TestSinceSeesWhatAFullAuditSees(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		w := newWorkload(db, "T00000005", 41)
		state := db.saved(audit.Options{})
		for round := range 6 {
			w.run(150)
			if round%2 == 1 {
				db.fixture(fmt.Sprintf("T0000000%d", round+1))
			}
			var next bytes.Buffer
			o := audit.Options{Since: opened(t, state), Save: audit.NewStateWriter(&next, moment, "")}
			report := db.clean(o)
			if err := o.Save.Close(); err != nil {
				t.Fatal(err)
			}
			full := db.clean(audit.Options{})
			if report.Cards != full.Cards || round > 0 && report.Transactions >= full.Transactions {
				t.Errorf("read %+v of %+v", report.Scope, full.Scope)
			}
			state = db.saved(audit.Options{})
			if !bytes.Equal(state, next.Bytes()) {
				t.Fatal("an audit of what is new leaves another state behind than a full one")
			}
		}
		if again := db.clean(audit.Options{Since: opened(t, state)}); again.Transactions != 0 || again.Cards == 0 {
			t.Errorf("nothing was new, but %+v was read", again.Scope)
		}
		one := db.clean(audit.Options{Since: opened(t, state), Account: "T00000005"})
		if one.Accounts != 1 || one.Transactions != 0 {
			t.Errorf("one account: %+v", one.Scope)
		}
	})
}

// TestSinceOfManyCards crosses the pages in which cards are read, with old, moved and new
// cards on all of them.
func TestSinceOfManyCards(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	const account, batches, size = "T00000001", 3, 500
	create := func(name string, amount int64) {
		db.submit(account, newCard(name, amount))
	}
	for batch := range batches {
		op := batchOf()
		for i := range size {
			op.Cards = append(op.Cards, batchOf(fmt.Sprint(batch, "-", i)).Cards...)
		}
		db.submit(account, op)
		create(fmt.Sprint("moved ", batch), 100)
	}
	state := db.saved(audit.Options{})
	for batch := range batches {
		db.on(account, fmt.Sprint("moved ", batch), ledger.ActionDrawdown, "r", 5)
	}
	for i := range 20 {
		create(fmt.Sprint("new ", i), 7)
	}
	report := db.clean(audit.Options{Since: opened(t, state)})
	if report.Transactions != batches+20 || report.Cards != batches*(size+1)+20 {
		t.Errorf("read %+v", report.Scope)
	}
	db.exec("DELETE FROM cards WHERE activated = 0")
	if report = db.verify(audit.Options{Since: opened(t, state)}); report.Findings.Total != batches*size {
		t.Errorf("%d findings about %d missing cards", report.Findings.Total, batches*size)
	}
}

// sinceEdits are made after a state was saved and one more drawdown was posted on busy.
// The row of a finding is given by name or, when it is gone, by seq.
var sinceEdits = []edit{
	{name: "amount of an unchanged card", sql: "UPDATE cards SET amount_funds = amount_funds + 1" + ofQuiet, card: "quiet", row: audit.CardRow, figure: "amount_funds"},
	{name: "amount of a moved card", sql: "UPDATE cards SET amount_drawdown = amount_drawdown - 1" + ofCard, card: "busy", row: audit.CardRow, figure: "amount_drawdown"},
	{name: "time of an unchanged card", sql: "UPDATE cards SET last_txn_at = last_txn_at + 1" + ofQuiet, card: "quiet", row: audit.CardRow, figure: "last_txn_at"},
	{name: "digest of an unchanged card", sql: "UPDATE cards SET digest = '0000000000000000000000000000000000000000000000000000000000000001'" + ofQuiet, card: "quiet", row: audit.CardRow, figure: "digest"},
	{name: "seq of an unchanged card", sql: "UPDATE cards SET seq = 1" + ofQuiet, card: "quiet", row: audit.CardRow, figure: "seq"},
	{name: "funds on an empty card", sql: "UPDATE cards SET amount_funds = 7" + onlyThis + "{empty}", card: "empty", row: audit.CardRow, figure: "amount_funds"},
	{name: "card gone", sql: "DELETE FROM cards" + ofQuiet, card: "quiet", row: audit.CardRow, figure: "id"},
	{name: "card gone with all rows", sql: "DELETE FROM cards" + ofQuiet + "; DELETE FROM transactions WHERE account_id = {account} AND card_object_id = {quiet}", card: "quiet", row: audit.CardRow, figure: "id"},
	{name: "last row gone", sql: "DELETE FROM transactions" + onlyThis + "{quiet_drawdown}", card: "quiet", row: audit.TxnRow, id: "missing", seq: 2, figure: "seq"},
	{name: "digest of the last row", sql: "UPDATE transactions SET digest = '0000000000000000000000000000000000000000000000000000000000000001'" + onlyThis + "{quiet_drawdown}", card: "quiet", row: audit.TxnRow, id: "quiet_drawdown", figure: "digest"},
	{name: "new row edited", sql: "UPDATE transactions SET amount = amount + 1" + onlyThis + "{new}", card: "busy", row: audit.TxnRow, id: "new", figure: "digest"},
	{name: "new row gone", sql: "DELETE FROM transactions" + onlyThis + "{new}", card: "busy", row: audit.TxnRow, id: "missing", seq: 14, figure: "seq"},
	{name: "row of a new card gone", sql: "DELETE FROM transactions WHERE account_id = {account} AND card_object_id = {late}", card: "late", row: audit.TxnRow, id: "missing", seq: 1, figure: "seq"},
	{name: "row added to an unchanged card", sql: `INSERT INTO transactions (account_id, id, card_object_id, seq, type, amount, currency, ref_id, addressed_by, amount_given, created_at, created_by, digest)
		SELECT account_id, {busy}, card_object_id, seq + 1, 'fund', 1000, currency, 'r-added', 'card_id', amount_given, created_at, created_by, digest
		FROM transactions` + onlyThis + "{quiet_drawdown}", card: "quiet", row: audit.TxnRow, id: "busy", figure: "digest"},
	{name: "open hold locks less", sql: "UPDATE holds SET locked = locked - 1" + onlyThis + "{pending}", card: "busy", row: audit.HoldRow, id: "pending", figure: "locked"},
	{name: "open hold gone", sql: "DELETE FROM holds" + onlyThis + "{pending}", card: "busy", row: audit.HoldRow, id: "pending", figure: "id"},
	{name: "settled hold opened", sql: "UPDATE holds SET open = NOT open" + onlyThis + "{taken}", card: "busy", row: audit.CardRow, figure: "open_holds"},
}

// TestSinceFindsChanges makes one edit per account after a state was saved.
func TestSinceFindsChanges(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		accounts, fixtures := make([]string, len(sinceEdits)), make([]map[string]string, len(sinceEdits))
		for i := range sinceEdits {
			accounts[i] = fmt.Sprintf("T%08d", i)
			fixtures[i] = db.fixture(accounts[i])
		}
		gone := db.fixture("T99999999")
		state := db.saved(audit.Options{})
		for i, account := range accounts {
			fixtures[i]["new"] = db.on(account, "busy", ledger.ActionDrawdown, "r-new", 3).String()
			fixtures[i]["late"] = db.submit(account, newCard("late", 9)).Cards[0].ID.String()
		}
		db.clean(audit.Options{Since: opened(t, state)})
		db.unguarded()
		var total int64
		for i, e := range sinceEdits {
			db.exec(named(e.sql, fixtures[i]))
			report := db.verify(audit.Options{Account: accounts[i], Since: opened(t, state)})
			total += report.Findings.Total
			if !finds(report, e, accounts[i], fixtures[i]) {
				t.Errorf("%s: no %s finding about %s of %s %s among %v", e.name, e.figure, e.row, e.card, e.id, report.Findings.First)
			}
		}
		for _, table := range []string{"transactions", "holds", "tokens", "cards"} {
			db.exec(named("DELETE FROM "+table+" WHERE account_id = {account}", gone))
		}
		const cardsOfFixture = 5
		if whole := db.verify(audit.Options{Since: opened(t, state)}); whole.Findings.Total != total+cardsOfFixture {
			t.Errorf("an audit of all accounts has %d findings, of each alone %d, and %d cards are gone with their account",
				whole.Findings.Total, total, cardsOfFixture)
		}
	})
}

// TestSinceReadsNoOldRows shows the limit of an audit of what is new: an old row that was
// edited in its place is for a full one to find.
func TestSinceReadsNoOldRows(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		ids := db.fixture("T00000001")
		state := db.saved(audit.Options{})
		db.exec(named("UPDATE transactions SET amount = amount + 1"+onlyThis+"{fund}", ids))
		db.clean(audit.Options{Since: opened(t, state)})
		if report := db.verify(audit.Options{}); report.OK() {
			t.Error("a full audit did not find it either")
		}
		// Who forges the whole chain moves its end too.
		db.exec(named("UPDATE transactions SET amount = amount - 1"+onlyThis+"{fund}", ids))
		db.forged("T00000001", ids["busy"], 2)
		db.clean(audit.Options{})
		report := db.verify(audit.Options{Since: opened(t, state)})
		if !slices.ContainsFunc(report.Findings.First, func(f audit.Finding) bool {
			return f.Card == ids["busy"] && f.Row == audit.TxnRow && f.ID == ids["last"] && f.Saved != "" && strings.Contains(f.String(), "kept "+f.Saved)
		}) {
			t.Errorf("a chain made anew: %v", report.Findings.First)
		}
	})
}

func TestStateThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	db.fixture("T00000001")
	state := db.saved(audit.Options{})
	spoilt := map[string][]byte{
		"nothing": nil, "another file": []byte("a,b\n1,2\n"), "JSON": []byte("{}\n"),
		"its end is missing": state[:len(state)-20], "a line is missing": state[:bytes.LastIndexByte(state[:len(state)-1], '\n')+1],
		"a longer one":    append(slices.Clone(state), "{}\n"...),
		"a digit":         bytes.Replace(state, []byte(`"seq":2`), []byte(`"seq":3`), 1),
		"another version": bytes.Replace(state, []byte(`"version":1`), []byte(`"version":2`), 1),
	}
	for name, text := range spoilt {
		if bytes.Equal(text, state) {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := audit.OpenState(bytes.NewReader(text)); !errors.Is(err, audit.ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := audit.OpenState(bytes.NewReader(spoilt["another version"])); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("another version: %v", err)
	}
	one := db.saved(audit.Options{Account: "T00000001"})
	for name, o := range map[string]audit.Options{
		"of one account": {Since: opened(t, one)}, "with heads": {Since: opened(t, state), Heads: true},
	} {
		if _, err := audit.Verify(context.Background(), db.store, o); err == nil {
			t.Errorf("%s: nothing was said", name)
		}
	}
}
