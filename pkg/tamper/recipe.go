package tamper

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// Kind is a way to tamper.
type Kind string

// The kinds.
const (
	Edit    Kind = "edit"    // a column of a row gets another value
	Delete  Kind = "delete"  // rows are gone
	Insert  Kind = "insert"  // a row is put in
	Reorder Kind = "reorder" // transactions of a card change places
	Swap    Kind = "swap"    // rows of two cards or accounts change places, or what is in them
	// Forge edits a transaction and makes its digest fit: what gives it away is the next
	// one, or after the last the card.
	Forge Kind = "forge"
)

// Kinds are all kinds.
var Kinds = []Kind{Edit, Delete, Insert, Reorder, Swap, Forge}

// recipe makes tamperings of one sort. A plan without steps means that the dice fell on
// rows that do not serve.
type recipe struct {
	kind          Kind
	table, column string // of an edit
	plan          func(context.Context, *engine) ([]step, error)
}

// recipes lists an edit for each column, and enough of all else.
func (e *engine) recipes() []recipe {
	var all []recipe
	for _, name := range tableNames {
		t := e.tables[name]
		for _, c := range t.projected() {
			all = append(all, recipe{
				kind: Edit, table: name, column: c.name,
				plan: func(ctx context.Context, e *engine) ([]step, error) { return e.edit(ctx, name, c) },
			})
		}
	}
	const often = 3
	for range often {
		all = append(all,
			recipe{kind: Delete, plan: deleteTransaction}, recipe{kind: Delete, plan: deleteEnd},
			recipe{kind: Delete, plan: deleteHold}, recipe{kind: Delete, plan: deleteCard},
			recipe{kind: Insert, plan: insertCopy}, recipe{kind: Insert, plan: insertBetween},
			recipe{kind: Insert, plan: insertChained}, recipe{kind: Insert, plan: insertHold},
			recipe{kind: Reorder, plan: reorder}, recipe{kind: Reorder, plan: reorder},
			recipe{kind: Swap, plan: swapPlaces}, recipe{kind: Swap, plan: swapPlaces},
			recipe{kind: Swap, plan: swapContents(transactions)}, recipe{kind: Swap, plan: swapContents(cards)},
			recipe{kind: Swap, plan: swapContents(holds)}, recipe{kind: Forge, plan: forge},
		)
	}
	return all
}

// key is a row's key.
type key struct{ account, id string }

// pick chooses a row of a table. The condition may be empty; its arguments begin at $1.
func (e *engine) pick(ctx context.Context, table, condition string, args ...any) (key, bool, error) {
	if condition == "" {
		condition = "1 = 1"
	}
	keys, err := e.texts(ctx, fmt.Sprintf("SELECT account_id || ' ' || CAST(id AS TEXT) FROM %s WHERE %s ORDER BY account_id, id",
		table, condition), args...)
	if err != nil || len(keys) == 0 {
		return key{}, false, err
	}
	account, id, _ := strings.Cut(keys[e.dice.IntN(len(keys))].String, " ")
	return key{account, id}, true, nil
}

// where is the condition for a key, whose arguments begin at $n.
func (key) where(n int) string { return fmt.Sprintf("account_id = $%d AND id = $%d", n, n+1) }

// newID is deterministic.
func (e *engine) newID() string {
	var id uuid.UUID
	for i := range id {
		id[i] = byte(e.dice.IntN(1 << 8)) //nolint:gosec // below 256
	}
	return id.String()
}

// typed is an argument in a place where PostgreSQL does not know its type.
func (e *engine) typed(n int, kind string) string {
	if kind == "UUID" && !e.o.Store.Postgres() {
		return fmt.Sprintf("$%d", n) // SQLite would make a number of it
	}
	return fmt.Sprintf("CAST($%d AS %s)", n, kind)
}

// edit gives a column of some row another value.
func (e *engine) edit(ctx context.Context, name string, c column) ([]step, error) {
	condition := ""
	if name == cards && isKey(c.name) { // a card without history could be anywhere
		condition = "seq > 0"
	}
	if c.name == "available_after" { // none at all is right for any but the last of a card
		condition = "available_after IS NULL OR balance_after IS NOT NULL OR seq = (SELECT c.seq FROM cards AS c " +
			"WHERE c.account_id = transactions.account_id AND c.id = transactions.card_object_id)"
	}
	row, found, err := e.pick(ctx, name, condition)
	if err != nil || !found {
		return nil, err
	}
	old, err := e.texts(ctx, fmt.Sprintf("SELECT CAST(%s AS TEXT) FROM %s WHERE %s", c.name, name, row.where(1)), row.account, row.id)
	if err != nil {
		return nil, err
	}
	value, err := e.another(ctx, name, c, old[0])
	if err != nil {
		return nil, err
	}
	if c.kind == "BOOLEAN" {
		return []step{{
			text: fmt.Sprintf("UPDATE %s SET %s = NOT %s WHERE %s", name, c.name, c.name, row.where(1)),
			args: []any{row.account, row.id},
		}}, nil
	}
	return []step{{
		text: fmt.Sprintf("UPDATE %s SET %s = $1 WHERE %s", name, c.name, row.where(2)),
		args: []any{value, row.account, row.id},
	}}, nil
}

func isKey(column string) bool { return column == "id" || column == "account_id" }

func deleteTransaction(ctx context.Context, e *engine) ([]step, error) {
	return e.remove(ctx, transactions, "")
}
func deleteHold(ctx context.Context, e *engine) ([]step, error) { return e.remove(ctx, holds, "") }

// deleteCard takes a card's own row, and leaves its history.
func deleteCard(ctx context.Context, e *engine) ([]step, error) {
	return e.remove(ctx, cards, "seq > 0")
}

func (e *engine) remove(ctx context.Context, table, condition string) ([]step, error) {
	row, found, err := e.pick(ctx, table, condition)
	if err != nil || !found {
		return nil, err
	}
	return []step{{text: "DELETE FROM " + table + " WHERE " + row.where(1), args: []any{row.account, row.id}}}, nil
}

// deleteEnd cuts off a history, or takes all of it.
func deleteEnd(ctx context.Context, e *engine) ([]step, error) {
	txn, err := e.transaction(ctx, "")
	if err != nil || txn == nil {
		return nil, err
	}
	return []step{{
		text: "DELETE FROM transactions WHERE account_id = $1 AND card_object_id = $2 AND seq >= $3",
		args: []any{txn.account, txn.Card.String(), txn.Seq},
	}}, nil
}

// stored is a transaction with its account.
type storedTxn struct {
	ledger.Transaction
	account string
	before  ledger.Digest
}

// transaction chooses one.
func (e *engine) transaction(ctx context.Context, condition string, args ...any) (*storedTxn, error) {
	row, found, err := e.pick(ctx, transactions, condition, args...)
	if err != nil || !found {
		return nil, err
	}
	card, err := e.texts(ctx, "SELECT CAST(card_object_id AS TEXT) FROM transactions WHERE "+row.where(1), row.account, row.id)
	if err != nil {
		return nil, err
	}
	const all = 1 << 16
	history, err := e.o.Store.Transactions(ctx, row.account, uuid.MustParse(card[0].String), 0, all)
	if err != nil {
		return nil, err
	}
	txn := storedTxn{account: row.account}
	for i := range history {
		if history[i].ID.String() == row.id {
			txn.Transaction = history[i]
			break
		}
		txn.before = history[i].Digest
	}
	return &txn, nil
}

// last chooses the last transaction of a card.
func (e *engine) last(ctx context.Context) (*storedTxn, error) {
	return e.transaction(ctx, `seq = (SELECT c.seq FROM cards AS c
		WHERE c.account_id = transactions.account_id AND c.id = transactions.card_object_id)`)
}

// insert copies a transaction to a new place, under another id and ref_id.
func (e *engine) insert(from *storedTxn, id string, card uuid.UUID, seq int64, digest string) step {
	t := e.tables[transactions]
	values := make([]string, 0, len(t.columns))
	const account, source, newID, newCard, newSeq, newRef, newDigest = 1, 2, 3, 4, 5, 6, 7
	replaced := map[string]int{"id": newID, "card_object_id": newCard, "seq": newSeq, "ref_id": newRef, "digest": newDigest}
	for _, c := range t.columns {
		if n, replace := replaced[c.name]; replace {
			values = append(values, e.typed(n, c.kind))
			continue
		}
		values = append(values, c.name)
	}
	return step{
		text: fmt.Sprintf("INSERT INTO transactions (%s) SELECT %s FROM transactions WHERE account_id = $%d AND id = $%d",
			t.stored(), strings.Join(values, ", "), account, source),
		args: []any{from.account, from.ID.String(), id, card.String(), seq, "planted " + id, digest},
	}
}

// insertCopy puts a copy of a transaction behind the end of a card of the account.
func insertCopy(ctx context.Context, e *engine) ([]step, error) {
	txn, err := e.transaction(ctx, "")
	if err != nil || txn == nil {
		return nil, err
	}
	card, _, err := e.pick(ctx, cards, "account_id = $1", txn.account)
	if err != nil {
		return nil, err
	}
	length, err := e.texts(ctx, "SELECT CAST(count(*) AS TEXT) FROM transactions WHERE account_id = $1 AND card_object_id = $2", card.account, card.id)
	if err != nil {
		return nil, err
	}
	var seq int64
	if _, err := fmt.Sscan(length[0].String, &seq); err != nil {
		return nil, err
	}
	return []step{e.insert(txn, e.newID(), uuid.MustParse(card.id), seq+1, txn.Digest.String())}, nil
}

// aside is out of the way of every seq that a history here reaches.
const aside = 1_000_000

// insertBetween puts a transaction before another, with the digest that it would have
// there, and moves up all behind it.
func insertBetween(ctx context.Context, e *engine) ([]step, error) {
	txn, err := e.transaction(ctx, "")
	if err != nil || txn == nil {
		return nil, err
	}
	planted := txn.Transaction
	planted.ID = uuid.MustParse(e.newID())
	planted.RefID = "planted " + planted.ID.String()
	digest := ledger.Chain(txn.before, txn.account, &planted)
	move := func(by, from int64) step {
		return step{
			text: "UPDATE transactions SET seq = seq + $1 WHERE account_id = $2 AND card_object_id = $3 AND seq >= $4",
			args: []any{by, txn.account, txn.Card.String(), from},
		}
	}
	return []step{
		move(aside, txn.Seq), move(1-aside, aside),
		e.insert(txn, planted.ID.String(), txn.Card, planted.Seq, digest.String()),
	}, nil
}

// insertChained adds to a card's history a transaction as a server would have made it.
func insertChained(ctx context.Context, e *engine) ([]step, error) {
	txn, err := e.last(ctx)
	if err != nil || txn == nil {
		return nil, err
	}
	planted := txn.Transaction
	planted.ID, planted.Seq = uuid.MustParse(e.newID()), txn.Seq+1
	planted.RefID = "planted " + planted.ID.String()
	digest := ledger.Chain(txn.Digest, txn.account, &planted)
	return []step{e.insert(txn, planted.ID.String(), txn.Card, planted.Seq, digest.String())}, nil
}

// insertHold puts in a hold under the id of something that is none.
func insertHold(ctx context.Context, e *engine) ([]step, error) {
	txn, err := e.transaction(ctx, "type <> 'pending_capture'")
	if err != nil || txn == nil {
		return nil, err
	}
	row, found, err := e.pick(ctx, holds, "")
	if err != nil || !found {
		return nil, err
	}
	return []step{{
		text: "INSERT INTO holds (account_id, id, card_object_id, amount, locked, open) SELECT " + e.typed(3, "TEXT") + ", " +
			e.typed(4, "UUID") + ", " + e.typed(5, "UUID") + ", amount, locked, open FROM holds WHERE " + row.where(1),
		args: []any{row.account, row.id, txn.account, txn.ID.String(), txn.Card.String()},
	}}, nil
}

// reorder exchanges the seqs of two transactions of a card.
func reorder(ctx context.Context, e *engine) ([]step, error) {
	one, err := e.transaction(ctx, "")
	if err != nil || one == nil {
		return nil, err
	}
	other, err := e.transaction(ctx, "account_id = $1 AND card_object_id = $2 AND seq <> $3", one.account, one.Card.String(), one.Seq)
	if err != nil || other == nil {
		return nil, err
	}
	return exchange(one, other), nil
}

// exchange lets two transactions change places.
func exchange(one, other *storedTxn) []step {
	const text = "UPDATE transactions SET account_id = $1, card_object_id = $2, seq = $3 WHERE account_id = $4 AND id = $5"
	return []step{
		{text: text, args: []any{one.account, one.Card.String(), int64(aside), one.account, one.ID.String()}},
		{text: text, args: []any{one.account, one.Card.String(), one.Seq, other.account, other.ID.String()}},
		{text: text, args: []any{other.account, other.Card.String(), other.Seq, one.account, one.ID.String()}},
	}
}

// swapPlaces exchanges transactions of two cards, of one account or of two.
func swapPlaces(ctx context.Context, e *engine) ([]step, error) {
	one, err := e.transaction(ctx, "")
	if err != nil || one == nil {
		return nil, err
	}
	other, err := e.transaction(ctx, "card_object_id <> $1", one.Card.String())
	if err != nil || other == nil {
		return nil, err
	}
	return exchange(one, other), nil
}

// swapContents exchanges all that two rows say, while each keeps its place.
func swapContents(name string) func(context.Context, *engine) ([]step, error) {
	return func(ctx context.Context, e *engine) ([]step, error) {
		one, found, err := e.pick(ctx, name, "")
		if err != nil || !found {
			return nil, err
		}
		other, found, err := e.pick(ctx, name, "NOT (account_id = $1 AND id = $2)", one.account, one.id)
		if err != nil || !found {
			return nil, err
		}
		t := e.tables[name]
		var sets []string
		for _, c := range t.projected() {
			if !isKey(c.name) && c.name != "card_object_id" && !(name == transactions && c.name == "seq") {
				sets = append(sets, fmt.Sprintf("%s = o.%s", c.name, c.name))
			}
		}
		text := fmt.Sprintf("UPDATE %[1]s AS n SET %[2]s FROM original_%[1]s AS o WHERE n.account_id = $1 AND n.id = $2 AND o.account_id = $3 AND o.id = $4",
			name, strings.Join(sets, ", "))
		return []step{
			{text: text, args: []any{one.account, one.id, other.account, other.id}},
			{text: text, args: []any{other.account, other.id, one.account, one.id}},
		}, nil
	}
}

// forge edits an amount and makes the row's own digest fit.
func forge(ctx context.Context, e *engine) ([]step, error) {
	txn, err := e.transaction(ctx, "")
	if err != nil || txn == nil {
		return nil, err
	}
	forged := txn.Transaction
	forged.Amount += 1 + e.dice.Int64N(aside)
	return []step{{
		text: "UPDATE transactions SET amount = $1, digest = $2 WHERE account_id = $3 AND id = $4",
		args: []any{forged.Amount, ledger.Chain(txn.before, txn.account, &forged).String(), txn.account, txn.ID.String()},
	}}, nil
}
