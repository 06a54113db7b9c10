package repository

import (
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

const (
	// maxRecalled is the number of cards in one generation of what a store remembers; there
	// are two.
	maxRecalled = 16 << 10
	// maxRecalledText bounds the texts of a card that is remembered, in bytes, and
	// maxRecalledRefs the ref_ids of its last commit.
	maxRecalledText, maxRecalledRefs = 1 << 10, 8
	// staleCommits is for how many commits a card is not remembered after it was stale:
	// another server posts to it as well, and to fail costs more than to load.
	staleCommits = 16
	// recallMargin is how long before the end of a card it is loaded in any case. A commit
	// that was lost on its way could otherwise arrive after somebody has been told that
	// the card has expired; no connection holds one back for that long.
	recallMargin = ledger.Micros(time.Hour / time.Microsecond)
)

// ErrStale is the [ErrConflict] of a commit that was decided on what the store remembered
// of cards. It is forgotten: load, and decide again.
var ErrStale = fmt.Errorf("%w, since the cards were remembered", ErrConflict)

// A store on PostgreSQL remembers the cards that its own last commits were about, so that
// the next one about them needs a single trip: decide, and write on condition. Nothing
// that is remembered is believed. The commit itself compares the version of each row,
// which is the transaction that wrote it, and the digest of its history, and fails as a
// whole where one is another. So it does, like any other insert, where a ref_id was used
// before. Each of the two is enough where the other fails: a database that has lost commits,
// after a failover, may give the number of a lost transaction to another one. So a card is
// remembered only from commits that add to its history.
type cardKey struct{ account, cardID string }

// rememberedCard is never changed: others may be reading it.
type rememberedCard struct {
	card    ledger.Card
	version string // of the row: its xmin
	// refs are ref_ids of the last commit. Who asks for one of them again is likely to
	// have missed the answer.
	refs []string
	// stale is for how many more commits there is nothing here.
	stale int
}

// usable tells whether an operation may be decided on the card.
func (r *rememberedCard) usable(now ledger.Micros, refID string) bool {
	ends := r.card.ExpiresAt != nil && *r.card.ExpiresAt < now+recallMargin
	return r.stale == 0 && !ends && !slices.Contains(r.refs, refID)
}

// small tells whether a card takes little room.
func small(c *ledger.Card) bool {
	return len(c.CardID)+len(c.CustomerID)+len(c.Name)+len(c.OriginatedBy)+len(c.Metadata)+len(c.CreatedBy) <= maxRecalledText
}

// Recall adds to the book what the store remembers of the cards that the operations
// name, at the moment of the book. It reports whether that is all they need; then what
// they made of it is for [Tx.SaveRecalled], and a refusal is not to be believed. Else
// there is all to [Tx.Load], into another book.
func (tx *Tx) Recall(account string, now ledger.Micros, book *ledger.Book, ops []ledger.Operation) bool {
	if !tx.store.dialect.postgres {
		return false
	}
	recalled := make(map[uuid.UUID]*rememberedCard, len(ops))
	for _, op := range ops {
		transact, ok := op.(*ledger.Transact)
		if !ok || transact.TokenHash != "" || transact.Parent != uuid.Nil {
			return false
		}
		known, found := tx.store.remembered.Get(cardKey{account, transact.CardID})
		if !found || !known.usable(now, transact.RefID) {
			return false
		}
		recalled[known.card.ID] = known
	}
	for _, known := range recalled {
		book.AddCard(known.card)
	}
	tx.recalled = recalled
	return true
}

// SaveRecalled is [Tx.SaveAtCommit] of what was decided on recalled cards; the commit's
// error may be [ErrStale]. It reports false, and saves nothing, where the commit could not
// find out whether all that was recalled is still so.
func (tx *Tx) SaveRecalled(account string, c ledger.Changes) (bool, error) {
	others := len(c.NewCards) + len(c.Cards) + len(c.Holds) + len(c.NewTokens) + len(c.Tokens)
	if others > 0 || len(c.Posted) != len(tx.recalled) {
		return false, nil
	}
	t := &tx.store.texts
	r := &round{tx: tx, account: account}
	rows := rowsOf(t.postRecalled.columns, account, c.Posted, func(account string, card *ledger.Card) recalledRow {
		known := tx.recalled[card.ID]
		return recalledRow{cardRow: rowOfPosted(account, card), Version: known.version, DigestBefore: known.card.Digest.String()}
	})
	write(r, &t.postRecalled, rows, ErrStale)
	r.readVersion()
	r.statements = append(r.statements, statement{text: t.hooks.noSubscriber, args: []any{account}, affects: anyNumber, otherwise: ErrStale})
	insert(r, &t.insertTxns, c.Txns, rowOfTxnIn(&c))
	insert(r, &t.insertHolds, c.NewHolds, rowOfHold)
	if r.err != nil {
		return false, fmt.Errorf("save: %w", r.err)
	}
	tx.last = append(tx.last, r.watched()...)
	tx.noteSaved(account, &c)
	return true, nil
}

// recalledRow is a card as it is to be, and what its row has to be before.
type recalledRow struct {
	cardRow
	Version, DigestBefore string
}

var recalledColumns = []column{{name: "version", pgType: textType, index: []int{1}}, {name: "digest_before", pgType: textType, index: []int{2}}}

// versionRow is what a change of cards answers on PostgreSQL; see [dialect.all].
type versionRow struct {
	Version string
	Whole   int64
}

var versionColumns = []column{{name: "version", pgType: textType, index: []int{0}}, {name: "whole", pgType: bigintType, index: []int{1}}}

// readVersion takes the version of the rows that the statements so far write: all of a
// transaction have the same.
func (r *round) readVersion() {
	if !r.tx.store.dialect.postgres {
		return
	}
	tx, row := r.tx, new(versionRow)
	for i := range r.statements {
		s := &r.statements[i]
		s.targets = targetsOf(versionColumns, reflect.ValueOf(row).Elem())
		s.each = func() error {
			tx.version = row.Version
			return nil
		}
	}
}

// noteSaved notes what the commit is about.
func (tx *Tx) noteSaved(account string, c *ledger.Changes) {
	tx.saved, tx.savedFor = c, account
}

// remember keeps the cards that a commit, which has succeeded, posted to. Those of an
// account whose events somebody hears of are not kept: each of its commits has to read who
// does.
func (tx *Tx) remember() {
	if tx.saved == nil || !tx.store.dialect.postgres {
		return
	}
	refs := make(map[uuid.UUID][]string, len(tx.saved.Posted))
	for i := range tx.saved.Txns {
		if txn := &tx.saved.Txns[i]; len(refs[txn.Card]) < maxRecalledRefs {
			refs[txn.Card] = append(refs[txn.Card], txn.RefID)
		}
	}
	memory := tx.store.remembered
	for card := range tx.written() { // of two cards with one id the deleted one comes first
		key := cardKey{tx.savedFor, card.CardID}
		switch known, found := memory.Get(key); {
		case found && known.stale > 1:
			memory.Put(key, &rememberedCard{stale: known.stale - 1})
		case refs[card.ID] != nil && tx.version != "" && len(tx.subscribers) == 0 && card.DeletedAt == nil && small(card):
			memory.Put(key, &rememberedCard{card: *card, version: tx.version, refs: refs[card.ID]})
		default:
			memory.Forget(key)
		}
	}
}

// written are the cards that the transaction is about.
func (tx *Tx) written() iter.Seq[*ledger.Card] {
	return func(yield func(*ledger.Card) bool) {
		for _, cards := range [][]ledger.Card{tx.saved.Cards, tx.saved.Posted, tx.saved.NewCards} {
			for i := range cards {
				if !yield(&cards[i]) {
					return
				}
			}
		}
	}
}

// failed drops the cards of a commit that failed, or of which nobody knows. Those that
// were stale are noted as such.
func (tx *Tx) failed(err error) {
	if tx.saved == nil || !tx.store.dialect.postgres {
		return
	}
	for card := range tx.written() {
		tx.store.remembered.Forget(cardKey{tx.savedFor, card.CardID})
	}
	if !errors.Is(err, ErrStale) {
		return
	}
	for i := range tx.saved.Posted {
		tx.store.remembered.Put(cardKey{tx.savedFor, tx.saved.Posted[i].CardID}, &rememberedCard{stale: staleCommits})
	}
}

// stale calls the conflict of a commit on recalled cards what it is.
func (tx *Tx) stale(err error) error {
	if tx.recalled != nil && errors.Is(err, ErrConflict) && !errors.Is(err, ErrStale) {
		return errors.Join(ErrStale, err)
	}
	return err
}
