package repotest_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// taken is what a database holds before a rival row comes.
type taken struct {
	card  ledger.Card
	txn   ledger.Transaction
	hold  ledger.Hold
	token ledger.Token
}

func newTaken(t *testing.T) taken {
	t.Helper()
	card := repotest.Card(t, "taken")
	w := taken{card: card, txn: repotest.Txn(t, card.ID), token: repotest.Token(t, card.ID, "hash")}
	w.txn.RefID, w.token.RefID = "ref", "ref"
	w.hold = ledger.Hold{ID: w.txn.ID, Card: card.ID, Amount: 5, Locked: 5, Open: true}
	return w
}

func (w taken) changes() ledger.Changes {
	return ledger.Changes{
		NewCards: []ledger.Card{w.card}, Txns: []ledger.Transaction{w.txn},
		NewHolds: []ledger.Hold{w.hold}, NewTokens: []ledger.Token{w.token},
	}
}

// rivals are rows that must not come beside what is taken, each with the twin that
// may: the same row under another account, or with the one difference that matters.
func rivals(t *testing.T, w taken) map[string]struct{ bad, good ledger.Changes } {
	t.Helper()
	cards := func(edit func(*ledger.Card)) ledger.Changes {
		card := repotest.Card(t, w.card.CardID)
		edit(&card)
		return ledger.Changes{NewCards: []ledger.Card{card}}
	}
	txns := func(edit func(*ledger.Transaction)) ledger.Changes {
		txn := repotest.Txn(t, w.card.ID)
		txn.Seq, txn.RefID = 2, "other"
		edit(&txn)
		return ledger.Changes{Txns: []ledger.Transaction{txn}}
	}
	tokens := func(edit func(*ledger.Token)) ledger.Changes {
		token := repotest.Token(t, w.card.ID, "other hash")
		token.RefID = "other"
		edit(&token)
		return ledger.Changes{NewTokens: []ledger.Token{token}}
	}
	holds := func(id uuid.UUID) ledger.Changes {
		return ledger.Changes{NewHolds: []ledger.Hold{{ID: id, Card: w.card.ID, Amount: 1, Locked: 1, Open: true}}}
	}
	return map[string]struct{ bad, good ledger.Changes }{
		"card_id of a live card": {
			cards(func(*ledger.Card) {}),
			cards(func(c *ledger.Card) { c.CardID = "Taken" }),
		},
		"card_id of a live card, deleted": {
			cards(func(*ledger.Card) {}),
			cards(func(c *ledger.Card) { c.DeletedAt = repotest.Moment(repotest.Now) }),
		},
		"id of a card": {
			cards(func(c *ledger.Card) { c.ID, c.CardID = w.card.ID, "other" }),
			cards(func(c *ledger.Card) { c.CardID = "other" }),
		},
		"seq": {
			txns(func(x *ledger.Transaction) { x.Seq = 1 }),
			txns(func(x *ledger.Transaction) { x.Seq, x.Card = 1, uuid.New() }),
		},
		"ref_id of a transaction": {
			txns(func(x *ledger.Transaction) { x.RefID = "ref" }),
			txns(func(x *ledger.Transaction) { x.RefID = "REF" }),
		},
		"ref_id of another card's transaction": {
			txns(func(x *ledger.Transaction) { x.RefID = "ref" }),
			txns(func(x *ledger.Transaction) { x.RefID, x.Card = "ref", uuid.New() }),
		},
		"id of a transaction": {
			txns(func(x *ledger.Transaction) { x.ID = w.txn.ID }),
			txns(func(*ledger.Transaction) {}),
		},
		"id of a hold": {holds(w.hold.ID), holds(uuid.New())},
		"hash": {
			tokens(func(x *ledger.Token) { x.Hash = "hash" }),
			tokens(func(x *ledger.Token) { x.Hash = "hash " }),
		},
		"hash on another card": {
			tokens(func(x *ledger.Token) { x.Hash, x.Card = "hash", uuid.New() }),
			tokens(func(x *ledger.Token) { x.Card = uuid.New() }),
		},
		"ref_id of a token": {
			tokens(func(x *ledger.Token) { x.RefID = "ref" }),
			tokens(func(x *ledger.Token) { x.RefID = "" }),
		},
		"id of a token": {
			tokens(func(x *ledger.Token) { x.ID = w.token.ID }),
			tokens(func(*ledger.Token) {}),
		},
	}
}

func TestUniqueRules(t *testing.T) {
	t.Parallel()
	w := newTaken(t)
	for name, rival := range rivals(t, w) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) { refuseRival(t, d, w, rival.bad, rival.good) })
		})
	}
}

func refuseRival(t *testing.T, d repotest.Database, w taken, bad, good ledger.Changes) {
	t.Helper()
	repotest.Save(t, d.Store, repotest.Account, w.changes())
	raw := d.Raw(t)
	before := raw.Snapshot(t)

	// A neighbour of each sort, so that a half-written batch would show.
	neighbour := repotest.Card(t, "neighbour")
	bad.NewCards = append(bad.NewCards, neighbour)
	bad.Txns = append(bad.Txns, repotest.Txn(t, neighbour.ID))
	bad.NewHolds = append(bad.NewHolds, ledger.Hold{ID: uuid.New(), Card: neighbour.ID, Open: true})
	bad.NewTokens = append(bad.NewTokens, repotest.Token(t, neighbour.ID, "neighbour"))
	changed := w.card
	changed.Name = "changed"
	bad.Cards = []ledger.Card{changed}

	if err := repotest.TrySave(d.Store, repotest.Account, bad); !errors.Is(err, repository.ErrConflict) {
		t.Fatalf("a rival row: %v, want ErrConflict", err)
	}
	if after := raw.Snapshot(t); !reflect.DeepEqual(after, before) {
		t.Fatalf("a refused batch left something behind:\n%v\nbefore:\n%v", after, before)
	}
	if err := repotest.TrySave(d.Store, repotest.Account, good); err != nil {
		t.Fatalf("a row that differs where it matters: %v", err)
	}
	if err := repotest.TrySave(d.Store, repotest.OtherAccount, w.changes()); err != nil {
		t.Fatalf("the same rows in another account: %v", err)
	}
}

// An update that misses its row means that what was loaded is not there (any more),
// which no lost race explains.
func TestUpdatesOfMissingRows(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		w := newTaken(t)
		repotest.Save(t, d.Store, repotest.OtherAccount, w.changes())
		raw := d.Raw(t)
		before := raw.Snapshot(t)
		for name, c := range map[string]ledger.Changes{
			"card":  {Cards: []ledger.Card{w.card}},
			"hold":  {Holds: []ledger.Hold{w.hold}},
			"token": {Tokens: []ledger.Token{w.token}},
		} {
			if err := repotest.TrySave(d.Store, repotest.Account, c); !errors.Is(err, ledger.ErrCorrupt) {
				t.Errorf("%s of another account: %v, want ErrCorrupt", name, err)
			}
		}
		if after := raw.Snapshot(t); !reflect.DeepEqual(after, before) {
			t.Errorf("another account's rows changed:\n%v\nbefore:\n%v", after, before)
		}
	})
}
