package posting

import (
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// faults are the invariants in closed form: each counts the rows of an account that
// break it. No rule of package ledger takes part.
var faults = map[string]string{
	"I1 amounts": `SELECT count(*) FROM cards WHERE account_id = ? AND (amount_funds < 0 OR amount_drawdown < 0 OR amount_pending < 0
		OR amount_reserved < 0 OR open_holds < 0 OR amount_funds > 9007199254740991)`,
	"I2 drawdown and reserved": `SELECT count(*) FROM cards WHERE account_id = ? AND
		(amount_drawdown + amount_reserved > amount_funds OR amount_pending <> amount_reserved)`,
	"I3 pending is what holds lock": `SELECT count(*) FROM cards AS c WHERE c.account_id = ? AND
		(c.amount_pending <> (SELECT coalesce(sum(h.locked), 0) FROM holds AS h WHERE h.account_id = c.account_id AND h.card_object_id = c.id AND h.open)
		OR c.open_holds <> (SELECT count(*) FROM holds AS h WHERE h.account_id = c.account_id AND h.card_object_id = c.id AND h.open))`,
	"I3 closed holds lock nothing": `SELECT count(*) FROM holds WHERE account_id = ? AND NOT open AND locked <> 0`,
	"I5 one row for each ref_id": `SELECT count(*) FROM (SELECT 1 FROM transactions WHERE account_id = ?
		GROUP BY card_object_id, ref_id HAVING count(*) > 1) AS twice`,
	"I6 seq is 1 to n": `SELECT count(*) FROM cards AS c WHERE c.account_id = ? AND c.seq <>
		(SELECT count(*) FROM transactions AS t WHERE t.account_id = c.account_id AND t.card_object_id = c.id AND t.seq BETWEEN 1 AND c.seq)`,
	"I6 no row beyond": `SELECT count(*) FROM transactions AS t WHERE t.account_id = ? AND NOT EXISTS
		(SELECT 1 FROM cards AS c WHERE c.account_id = t.account_id AND c.id = t.card_object_id AND c.seq >= t.seq)`,
	"I7 funds": `SELECT count(*) FROM cards AS c WHERE c.account_id = ? AND c.amount_funds <>
		(SELECT coalesce(sum(t.amount), 0) FROM transactions AS t WHERE t.account_id = c.account_id AND t.card_object_id = c.id AND t.type = 'fund')`,
	"I7 drawdown": `SELECT count(*) FROM cards AS c WHERE c.account_id = ? AND c.amount_drawdown <>
		(SELECT coalesce(sum(t.amount), 0) FROM transactions AS t WHERE t.account_id = c.account_id AND t.card_object_id = c.id AND t.type = 'drawdown')`,
	"I7 pending": `SELECT count(*) FROM cards AS c WHERE c.account_id = ? AND c.amount_pending <>
		(SELECT coalesce(sum(CASE WHEN t.type = 'pending_capture' THEN t.amount WHEN t.parent_id IS NOT NULL THEN -t.amount ELSE 0 END), 0)
		FROM transactions AS t WHERE t.account_id = c.account_id AND t.card_object_id = c.id)`,
	"holds and their transactions": `SELECT count(*) FROM holds AS h WHERE h.account_id = ? AND h.amount - h.locked <>
		(SELECT coalesce(sum(t.amount), 0) FROM transactions AS t WHERE t.account_id = h.account_id AND t.parent_id = h.id)`,
	"every pending has a hold": `SELECT count(*) FROM transactions AS t WHERE t.account_id = ? AND t.type = 'pending_capture' AND NOT EXISTS
		(SELECT 1 FROM holds AS h WHERE h.account_id = t.account_id AND h.id = t.id AND h.amount = t.amount)`,
	"one transaction for each single-use token": `SELECT count(*) FROM tokens AS k WHERE k.account_id = ? AND k.single_use AND
		(SELECT count(*) FROM transactions AS t WHERE t.account_id = k.account_id AND t.token_id = k.id) <>
		CASE WHEN k.spent_by IS NULL THEN 0 ELSE 1 END`,
	"one live card for each card_id": `SELECT count(*) FROM (SELECT 1 FROM cards WHERE account_id = ? AND deleted_at IS NULL
		GROUP BY card_id HAVING count(*) > 1) AS twice`,
}

// auditAccount checks every card of an account: the invariants by SQL, and the chain
// of digests and the order of time row by row.
func auditAccount(t *testing.T, store *repository.Store, raw *repotest.Raw, account string) {
	t.Helper()
	for name, query := range faults {
		if n := raw.Number(t, query, account); n != 0 {
			t.Errorf("%s: %d rows break it", name, n)
		}
	}
	page := repository.Page{Limit: 100}
	for {
		cards, next, err := store.Cards(t.Context(), account, repository.Filter{IncludeDeleted: true}, page)
		if err != nil {
			t.Fatalf("audit: %v", err)
		}
		for i := range cards {
			auditChain(t, store, account, &cards[i])
		}
		if next == uuid.Nil {
			return
		}
		page.After = next
	}
}

func auditChain(t *testing.T, store *repository.Store, account string, card *ledger.Card) {
	t.Helper()
	var digest ledger.Digest
	var seq int64
	var last ledger.Micros
	for seq < card.Seq {
		txns, err := store.Transactions(t.Context(), account, card.ID, seq, 500)
		if err != nil || len(txns) == 0 {
			t.Fatalf("audit: %d of %d transactions, %v", seq, card.Seq, err)
		}
		for i := range txns {
			txn := &txns[i]
			seq++
			digest = ledger.Chain(digest, account, txn)
			if txn.Seq != seq || txn.Digest != digest || (seq > 1 && txn.CreatedAt < last) {
				t.Fatalf("audit: transaction %d of card %s does not follow the one before", seq, card.ID)
			}
			last = txn.CreatedAt
		}
	}
	if digest != card.Digest || last != card.LastTxnAt {
		t.Errorf("audit: card %s does not end where its history does", card.ID)
	}
}
