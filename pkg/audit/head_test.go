package audit_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/audit"
	"github.com/kortwallet/kort/pkg/ledger"
)

func (db *database) head(account string) audit.AccountHead {
	db.t.Helper()
	head, err := audit.Head(context.Background(), db.store, account)
	if err != nil {
		db.t.Fatal(err)
	}
	return head
}

// merkle is RFC 6962's definition, written as it stands there.
func merkle(leaves [][]byte) []byte {
	hash := func(prefix byte, parts ...[]byte) []byte {
		h := sha256.New()
		h.Write([]byte{prefix})
		for _, part := range parts {
			h.Write(part)
		}
		return h.Sum(nil)
	}
	switch len(leaves) {
	case 0:
		sum := sha256.Sum256(nil)
		return sum[:]
	case 1:
		return hash(0, leaves[0])
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	return hash(1, merkle(leaves[:k]), merkle(leaves[k:]))
}

// TestHeadIsTheMerkleRoot compares heads of 0, 1, 2 … cards with the definition.
func TestHeadIsTheMerkleRoot(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		const account = "T00000001"
		var leaves [][]byte
		var transactions int64
		for i := range 10 {
			head := db.head(account)
			if string(head.Root[:]) != string(merkle(leaves)) {
				t.Errorf("wrong root over %d cards", i)
			}
			if head.Cards != int64(i) || head.Transactions != transactions || head.Account != account {
				t.Errorf("head %+v of %d cards with %d transactions", head, i, transactions)
			}
			card := db.submit(account, newCard(fmt.Sprint("card ", i), int64(i))).Cards[0]
			leaf := binary.BigEndian.AppendUint64(append([]byte(nil), card.ID[:]...), uint64(card.Seq)) //nolint:gosec // small
			leaves, transactions = append(leaves, append(leaf, card.Digest[:]...)), transactions+card.Seq
		}
	})
}

// TestHeadOfManyCards crosses the pages in which cards are read.
func TestHeadOfManyCards(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	const account, batches, size = "T00000001", 3, 500
	var leaves [][]byte
	for batch := range batches {
		op := batchOf()
		for i := range size {
			op.Cards = append(op.Cards, batchOf(fmt.Sprint(batch, "-", i)).Cards...)
		}
		for _, card := range db.submit(account, op).Cards {
			leaves = append(leaves, append(append([]byte(nil), card.ID[:]...), make([]byte, 8+len(card.Digest))...))
		}
	}
	if head := db.head(account); string(head.Root[:]) != string(merkle(leaves)) || head.Cards != batches*size {
		t.Errorf("wrong head: %+v", head)
	}
	if report := db.clean(audit.Options{Heads: true}); report.Heads[0] != db.head(account) {
		t.Errorf("verify has another head: %+v", report.Heads)
	}
}

func TestHeadChangesWithEveryTransaction(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		const account = "T00000001"
		db.fixture(account)
		db.fixture("T00000002")
		seen := map[ledger.Digest]bool{db.head(account).Root: true}
		for i := range 5 {
			db.on(account, "quiet", ledger.ActionFund, fmt.Sprint("ref ", i), 0)
			head := db.head(account)
			if seen[head.Root] {
				t.Errorf("the head did not change with transaction %d", i)
			}
			seen[head.Root] = true
		}
		report := db.clean(audit.Options{Heads: true})
		if len(report.Heads) != 2 || report.Heads[0] != db.head(account) || report.Heads[1] != db.head("T00000002") {
			t.Errorf("verify has other heads: %+v", report.Heads)
		}
		if report := db.clean(audit.Options{}); report.Heads != nil {
			t.Errorf("heads that nobody asked for: %+v", report.Heads)
		}
	})
}

func TestHeadOfAnUnreadableCard(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		ids := db.fixture("T00000001")
		db.exec(named("UPDATE cards SET digest = 'x'"+ofCard, ids))
		if _, err := audit.Head(context.Background(), db.store, "T00000001"); !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("head of an unreadable card: %v", err)
		}
		if id := uuid.MustParse(ids["busy"]); id == uuid.Nil {
			t.Error("the fixture has no card")
		}
	})
}

// forged lifts a fund and everything that follows from it, as somebody can who has the
// database and this program: rows, digests, figures and the card.
func (db *database) forged(account, card string, seq int64) {
	db.t.Helper()
	ctx := context.Background()
	txns, err := db.store.Transactions(ctx, account, uuid.MustParse(card), 0, 1_000)
	if err != nil {
		db.t.Fatal(err)
	}
	var before ledger.Digest
	for i := range txns {
		txn := &txns[i]
		if txn.Seq == seq {
			txn.Amount++
		}
		before = ledger.Chain(before, account, txn)
		db.exec(fmt.Sprintf("UPDATE transactions SET amount = %d, digest = '%s' WHERE account_id = '%s' AND id = '%s'",
			txn.Amount, before, account, txn.ID))
	}
	db.exec(fmt.Sprintf(`UPDATE transactions SET available_after = available_after + 1, balance_after = balance_after + 1
		WHERE account_id = '%[1]s' AND card_object_id = '%[2]s' AND seq >= %[3]d;
		UPDATE cards SET amount_funds = amount_funds + 1, digest = '%[4]s' WHERE account_id = '%[1]s' AND id = '%[2]s'`,
		account, card, seq, before))
}

// erased deletes a card and every row that belongs to it.
func (db *database) erased(account, card string) {
	for _, table := range []string{"transactions", "holds", "tokens"} {
		db.exec(fmt.Sprintf("DELETE FROM %s WHERE account_id = '%s' AND card_object_id = '%s'", table, account, card))
	}
	db.exec(fmt.Sprintf("DELETE FROM cards WHERE account_id = '%s' AND id = '%s'", account, card))
}

// kept prints the head of an account as of now, lets time and traffic pass, and reads it
// again.
func (db *database) kept(account string) audit.AccountHead {
	db.t.Helper()
	now := ledger.Micros(db.clock.Add(1))
	report := db.clean(audit.Options{Account: account, Heads: true, Until: now})
	db.clock.Add(1)
	head, err := audit.ParseHead(report.Heads[0].String())
	if err != nil || head != report.Heads[0] || head.Until != now {
		db.t.Fatalf("%v was read as %v: %v", report.Heads[0], head, err)
	}
	return head
}

// TestKeptHeadOutlivesTraffic: what happens later changes no head of before.
func TestKeptHeadOutlivesTraffic(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		const account = "T00000001"
		w := newWorkload(db, account, 31)
		var heads []audit.AccountHead
		for range 4 {
			w.run(120)
			heads = append(heads, db.kept(account))
		}
		db.fixture("T00000002")
		heads = append(heads, db.kept("T00000002"))
		w.run(120)
		if report := db.verify(audit.Options{Against: heads}); !report.OK() {
			t.Errorf("heads that were kept: %v", report.Findings.First)
		}
		if heads[1].Root == heads[0].Root || heads[1].Transactions <= heads[0].Transactions {
			t.Errorf("the head did not move on: %v, %v", heads[0], heads[1])
		}
	})
}

// TestKeptHeadShowsWhatTheDatabaseCannot makes the two changes after which a database
// agrees with itself: plain Verify must be clean, and the head must tell.
func TestKeptHeadShowsWhatTheDatabaseCannot(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		for i, test := range []struct {
			name, figure string
			change       func(account string, ids map[string]string)
		}{
			{"a card erased with all its rows", "size", func(account string, ids map[string]string) { db.erased(account, ids["busy"]) }},
			{"a chain made anew", "root", func(account string, ids map[string]string) { db.forged(account, ids["busy"], 2) }},
			{"the account erased", "size", func(account string, _ map[string]string) {
				for _, table := range []string{"transactions", "holds", "tokens", "cards"} {
					db.exec(fmt.Sprintf("DELETE FROM %s WHERE account_id = '%s'", table, account))
				}
			}},
		} {
			account := fmt.Sprintf("T0000000%d", i)
			ids := db.fixture(account)
			head := db.kept(account)
			db.on(account, "quiet", ledger.ActionFund, "later", 1)
			test.change(account, ids)
			db.clean(audit.Options{})
			report := db.verify(audit.Options{Against: []audit.AccountHead{head}})
			if report.Findings.Total != 1 || report.Findings.First[0].Figure != test.figure || report.Findings.First[0].Account != account {
				t.Errorf("%s: %v", test.name, report.Findings.First)
			}
			// What came after the head it cannot know.
			after := db.fixture("P" + account[1:])
			early := db.kept("P" + account[1:])
			db.submit("P"+account[1:], newCard("late", 5))
			db.exec(named("DELETE FROM transactions WHERE account_id = {account} AND created_at > "+fmt.Sprint(early.Until), after))
			db.exec(named("DELETE FROM cards WHERE account_id = {account} AND created_at > "+fmt.Sprint(early.Until), after))
			db.clean(audit.Options{Account: early.Account, Against: []audit.AccountHead{early}})
		}
	})
}

func TestParseHead(t *testing.T) {
	t.Parallel()
	root := fmt.Sprintf("%064x", 7)
	if _, err := audit.ParseHead("T00000001:5:" + root + ":1:2"); err != nil {
		t.Errorf("a head: %v", err)
	}
	for _, text := range []string{
		"", "T00000001", ":5:" + root + ":1:2", "T00000001:" + root + ":1:2", "T00000001:0:" + root + ":1:2", "T00000001:x:" + root + ":1:2",
		"T00000001:5:" + root[1:] + ":1:2", "T00000001:5:" + root + ":-1:2", "T00000001:5:" + root + ":1:2:3", "T00000001:5:" + root + ":1:",
	} {
		if head, err := audit.ParseHead(text); err == nil {
			t.Errorf("%q is read as %v", text, head)
		}
	}
}
