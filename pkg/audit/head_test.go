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
