package repotest_test

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// awkward are texts that a careless statement, driver or engine would change.
var awkward = map[string]string{
	"plain":              "gift-0001",
	"inner spaces":       "two  words",
	"quotes":             `it's "so"; DROP TABLE cards; --`,
	"backslashes":        `back\slash\\ \' \n \?`,
	"placeholders":       "? ?1 $1 $2 :name @name ?? %s {}",
	"wildcards":          "100%_off*[a-z]",
	"a number":           "007",
	"a large number":     "12345678901234567890",
	"a float":            "1.50",
	"a null":             "NULL",
	"a boolean":          "true",
	"a JSON text":        `{"a":[1,"\u00e5"]}`,
	"HTML":               "<a href='x'>&amp;</a>",
	"composed":           "\u00e5ngstr\u00f6m",
	"decomposed":         "a\u030angstro\u0308m",
	"emoji":              "🎁👩‍👩‍👧‍👦🇳🇴",
	"right to left":      "\u202eשלום عليكم",
	"line separators":    "a\u2028b\u2029c\u0085d",
	"outside the BMP":    "𝔊𝔦𝔣𝔱 \U0010fffd",
	"a replacement rune": "\ufffd",
	"a byte order mark":  "\ufeffbom",
	"255 letters":        strings.Repeat("x", 255),
	"255 wide runes":     strings.Repeat("\U0001f381", 255),
	"a delimiter":        "a,b;{c}|(d)",
	"an array":           `{"{1,2}",NULL}`,
}

// largeMetadata is canonical JSON whose numbers no float could hold.
const largeMetadata = `{"big":123456789012345678901234567890,"exact":0.1000000000000000055511151231257827,` +
	`"list":[1,null,true,"<&>"],"nested":{"":{"å":"🎁"}},"small":-9223372036854775808}`

// extremes are the ends of what a column for a moment or a number holds.
var extremes = []int64{math.MinInt64, -1, 0, 1, 1<<53 - 1, 1 << 53, 1<<53 + 1, math.MaxInt64}

func TestCardsRoundTrip(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		for name, text := range awkward {
			t.Run(name, func(t *testing.T) { roundTripCard(t, s, fullCard(t, text)) })
		}
		for i, n := range extremes {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				card := fullCard(t, fmt.Sprintf("extreme %d", i))
				at := ledger.Micros(n)
				card.CreatedAt, card.LastTxnAt = at, at
				card.ActiveFrom, card.ExpiresAt, card.PIN.LockedUntil = &at, &at, &at
				roundTripCard(t, s, card)
			})
		}
		t.Run("nothing given", func(t *testing.T) { roundTripCard(t, s, repotest.Card(t, "bare")) })
		t.Run("waiting for its activation", func(t *testing.T) {
			card := repotest.Card(t, "waiting")
			card.Activated, card.Currency = false, ""
			roundTripCard(t, s, card)
		})
		t.Run("the largest amounts", func(t *testing.T) {
			card := fullCard(t, "rich")
			card.Amount, card.Type = ledger.MaxAmount, ledger.CreditNote
			card.Balance = ledger.Balance{Funds: ledger.MaxAmount, Drawdown: 1, Pending: ledger.MaxAmount - 2, Reserved: ledger.MaxAmount - 1}
			card.Seq, card.OpenHolds = math.MaxInt64, math.MaxInt64
			roundTripCard(t, s, card)
		})
	})
}

// fullCard is a card with a value in every field that a live one can have.
func fullCard(t *testing.T, text string) ledger.Card {
	t.Helper()
	card := repotest.Card(t, text)
	card.CustomerID, card.Name, card.OriginatedBy, card.CreatedBy = text+"c", text+"n", text+"o", text+"b"
	card.Metadata = largeMetadata
	card.Amount, card.Currency, card.ActivationID = 5000, ledger.SEK, repotest.ID(t)
	card.ActiveFrom, card.ExpiresAt = repotest.Moment(repotest.Now+1), repotest.Moment(repotest.Now+2)
	card.Balance = ledger.Balance{Funds: 5000, Drawdown: 1000, Pending: 300, Reserved: 400}
	card.OpenHolds, card.Seq, card.LastTxnAt = 2, 7, repotest.Now+3
	card.Digest[0], card.Digest[31] = 0xab, 0x01
	card.PIN = &ledger.PIN{
		ID: repotest.ID(t), Format: text, Hash: text + "h", KeyID: text + "k", Failures: 4,
		LockedUntil: repotest.Moment(repotest.Now + 4),
	}
	return card
}

// roundTripCard writes a card as a new one and, after a change of everything, as an
// updated one. Each time all ways to read it must agree.
func roundTripCard(t *testing.T, s *repository.Store, card ledger.Card) {
	t.Helper()
	handle := repotest.Token(t, card.ID, "handle of "+card.ID.String())
	repotest.Save(t, s, repotest.Account, ledger.Changes{NewCards: []ledger.Card{card}, NewTokens: []ledger.Token{handle}})
	checkCard(t, s, card, handle.Hash)

	changed := fullCard(t, card.CardID)
	changed.ID, changed.Type, changed.CreatedAt, changed.CreatedBy = card.ID, card.Type, card.CreatedAt, card.CreatedBy
	changed.CustomerID, changed.Metadata = "another", `{"other":1}`
	repotest.Save(t, s, repotest.Account, ledger.Changes{Cards: []ledger.Card{changed}})
	checkCard(t, s, changed, handle.Hash)

	repotest.Save(t, s, repotest.Account, ledger.Changes{Cards: []ledger.Card{card}}) // back, to NULL where it was
	checkCard(t, s, card, handle.Hash)

	gone := card
	gone.DeletedAt, gone.DeletedBy, gone.DeletionID = &card.CreatedAt, card.CreatedBy, repotest.ID(t)
	repotest.Save(t, s, repotest.Account, ledger.Changes{Cards: []ledger.Card{gone}})
	all, _, err := s.Cards(t.Context(), repotest.Account, repository.Filter{IncludeDeleted: true}, repository.Page{Limit: 1})
	if err != nil || len(all) != 1 {
		t.Fatalf("list deleted card: %d cards, %v", len(all), err)
	}
	same(t, "deleted card", all[0], gone)
}

// checkCard reads a card in every way there is.
func checkCard(t *testing.T, s *repository.Store, want ledger.Card, tokenHash string) {
	t.Helper()
	ctx := t.Context()
	got, err := s.Card(ctx, repotest.Account, want.CardID)
	if err != nil {
		t.Fatalf("read card: %v", err)
	}
	same(t, "card", got, want)
	if got, err = s.CardByToken(ctx, repotest.Account, 0, tokenHash); err != nil {
		t.Fatalf("read card by token: %v", err)
	}
	same(t, "card by token", got, want)
	list, _, err := s.Cards(ctx, repotest.Account, repository.Filter{}, repository.Page{Limit: 1})
	if err != nil || len(list) != 1 {
		t.Fatalf("list cards: %d, %v", len(list), err)
	}
	same(t, "listed card", list[0], want)
	if want.CustomerID != "" {
		if got, err = s.CustomerCard(ctx, repotest.Account, want.CustomerID, want.CardID); err != nil {
			t.Fatalf("read customer card: %v", err)
		}
		same(t, "customer card", got, want)
		list, err := s.CustomerCards(ctx, repotest.Account, want.CustomerID, repository.Page{Limit: 1})
		if err != nil || len(list) != 1 {
			t.Fatalf("list customer cards: %d, %v", len(list), err)
		}
		same(t, "listed customer card", list[0], want)
	}
	results, errs := repotest.Post(t, s, repotest.Account, repotest.Now, &ledger.CheckPIN{TokenHash: tokenHash})
	if errs[0] != nil {
		t.Fatalf("load card: %v", errs[0])
	}
	same(t, "loaded card", results[0].Cards[0], want)
}

func TestTransactionsRoundTrip(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		for name, text := range awkward {
			t.Run(name, func(t *testing.T) {
				card := repotest.Card(t, text)
				txn := fullTxn(t, card.ID, 1, text)
				bare := repotest.Txn(t, card.ID)
				bare.Seq, bare.Type, bare.Amount, bare.AmountGiven = 2, ledger.TypeVoided, 0, false
				largest := fullTxn(t, card.ID, math.MaxInt64, "ref of "+text)
				largest.Type, largest.Amount, largest.CreatedAt = ledger.TypePending, ledger.MaxAmount, math.MaxInt64
				roundTripTxns(t, s, card, txn, bare, largest)
			})
		}
		for i, n := range extremes {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				card := repotest.Card(t, fmt.Sprintf("extreme %d", i))
				txn := fullTxn(t, card.ID, 1, "extreme")
				txn.CreatedAt = ledger.Micros(n)
				roundTripTxns(t, s, card, txn)
			})
		}
	})
}

func fullTxn(t *testing.T, card uuid.UUID, seq int64, text string) ledger.Transaction {
	t.Helper()
	txn := repotest.Txn(t, card)
	txn.Seq, txn.Type, txn.Address, txn.Currency = seq, ledger.TypeDrawdown, ledger.ByTransaction, ledger.USD
	txn.RefID, txn.Metadata, txn.OriginatedBy, txn.CreatedBy = text, largeMetadata, text+"o", text+"b"
	txn.Parent, txn.Token = repotest.ID(t), repotest.ID(t)
	txn.Digest[1], txn.Digest[30] = 0xcd, 0x02
	return txn
}

func roundTripTxns(t *testing.T, s *repository.Store, card ledger.Card, txns ...ledger.Transaction) {
	t.Helper()
	repotest.Save(t, s, repotest.Account, ledger.Changes{NewCards: []ledger.Card{card}, Txns: txns})
	got, err := s.Transactions(t.Context(), repotest.Account, card.ID, 0, len(txns)+1)
	if err != nil || len(got) != len(txns) {
		t.Fatalf("read transactions: %d of %d, %v", len(got), len(txns), err)
	}
	for i := range txns {
		same(t, "transaction", got[i], txns[i])
		again := &ledger.Transact{ID: txns[i].ID, Action: ledger.ActionFund, CardID: card.CardID, RefID: txns[i].RefID}
		results, errs := repotest.Post(t, s, repotest.Account, repotest.Now, again)
		if errs[0] != nil {
			t.Fatalf("load transaction by its ref_id: %v", errs[0])
		}
		same(t, "loaded transaction", results[0].Txn, txns[i])
	}
}

func TestTransactionsComeInPages(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		card := repotest.Card(t, "paged")
		var txns []ledger.Transaction
		for seq := range int64(10) {
			txn := repotest.Txn(t, card.ID)
			txn.Seq = seq + 1
			txns = append(txns, txn)
		}
		repotest.Save(t, s, repotest.Account, ledger.Changes{NewCards: []ledger.Card{card}, Txns: txns})
		for _, c := range []struct {
			after       int64
			limit       int
			first, last int64
		}{{0, 3, 1, 3}, {3, 3, 4, 6}, {9, 3, 10, 10}, {10, 3, 0, 0}, {0, 100, 1, 10}} {
			got, err := s.Transactions(t.Context(), repotest.Account, card.ID, c.after, c.limit)
			if err != nil {
				t.Fatal(err)
			}
			var first, last int64
			if len(got) > 0 {
				first, last = got[0].Seq, got[len(got)-1].Seq
			}
			if first != c.first || last != c.last || len(got) > c.limit {
				t.Errorf("after %d, at most %d: %d…%d, want %d…%d", c.after, c.limit, first, last, c.first, c.last)
			}
		}
	})
}

func TestTokensRoundTrip(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		card := repotest.Card(t, "token card")
		repotest.Save(t, s, repotest.Account, ledger.Changes{NewCards: []ledger.Card{card}})
		for name, text := range awkward {
			t.Run(name, func(t *testing.T) { roundTripToken(t, s, card, fullToken(t, card.ID, text)) })
		}
		for i, n := range extremes {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				token := fullToken(t, card.ID, fmt.Sprintf("extreme %d", i))
				at := ledger.Micros(n)
				token.CreatedAt, token.ExpiresAt, token.ExpiresIn = at, &at, n
				roundTripToken(t, s, card, token)
			})
		}
		t.Run("nothing given", func(t *testing.T) { roundTripToken(t, s, card, repotest.Token(t, card.ID, "bare")) })
	})
}

func fullToken(t *testing.T, card uuid.UUID, text string) ledger.Token {
	t.Helper()
	token := repotest.Token(t, card, text)
	token.RefID, token.KeyID, token.Masked, token.Format, token.Shape = text, text+"k", text+"m", text+"f", text+"s"
	token.Metadata, token.CreatedBy = largeMetadata, text+"b"
	token.ExpiresIn, token.ExpiresAt, token.SingleUse = 3_153_600_000, repotest.Moment(repotest.Now+9), true
	return token
}

func roundTripToken(t *testing.T, s *repository.Store, card ledger.Card, token ledger.Token) {
	t.Helper()
	repotest.Save(t, s, repotest.Account, ledger.Changes{NewTokens: []ledger.Token{token}})
	checkToken(t, s, card, token)
	spent := token
	spent.SpentBy = repotest.ID(t)
	repotest.Save(t, s, repotest.Account, ledger.Changes{Tokens: []ledger.Token{spent}})
	checkToken(t, s, card, spent)
}

func checkToken(t *testing.T, s *repository.Store, card ledger.Card, want ledger.Token) {
	t.Helper()
	if want.ExpiresAt == nil || *want.ExpiresAt > math.MinInt64 { // else there is no moment before
		list, err := s.Tokens(t.Context(), repotest.Account, card.ID, math.MinInt64)
		if err != nil {
			t.Fatalf("list tokens: %v", err)
		}
		at := len(list) - 1 // the newest comes last
		same(t, "listed token", list[at], want)
	}
	by := func(op ledger.Operation) ledger.Token {
		t.Helper()
		results, errs := repotest.Post(t, s, repotest.Account, math.MinInt64, op)
		if errs[0] != nil {
			t.Fatalf("load token: %v", errs[0])
		}
		return results[0].Token
	}
	if want.ExpiresAt == nil || *want.ExpiresAt > math.MinInt64 {
		same(t, "token by its hash", by(&ledger.CheckPIN{TokenHash: want.Hash}), want)
	}
	if want.RefID != "" {
		again := ledger.NewToken{Token: ledger.Token{ID: want.ID, RefID: want.RefID}}
		same(t, "token by its ref_id", by(&ledger.CreateToken{CardID: card.CardID, New: again}), want)
	}
}

func TestHoldsRoundTrip(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		raw := d.Raw(t)
		for _, hold := range []ledger.Hold{
			{ID: repotest.ID(t), Card: repotest.ID(t), Amount: 0, Locked: 0, Open: true},
			{ID: repotest.ID(t), Card: repotest.ID(t), Amount: 10, Locked: 10, Open: true},
			{ID: repotest.ID(t), Card: repotest.ID(t), Amount: ledger.MaxAmount, Locked: 1, Open: true},
		} {
			check := func(want ledger.Hold) {
				t.Helper()
				if n := raw.Number(t, `SELECT count(*) FROM holds WHERE account_id = ? AND id = ? AND card_object_id = ?
					AND amount = ? AND locked = ? AND open = ?`, repotest.Account, want.ID.String(), want.Card.String(),
					want.Amount, want.Locked, want.Open); n != 1 {
					t.Errorf("hold %+v is not stored like this: %v", want, raw.Rows(t, "SELECT * FROM holds"))
				}
			}
			repotest.Save(t, d.Store, repotest.Account, ledger.Changes{NewHolds: []ledger.Hold{hold}})
			check(hold)
			hold.Locked, hold.Open = 0, false
			repotest.Save(t, d.Store, repotest.Account, ledger.Changes{Holds: []ledger.Hold{hold}})
			check(hold)
		}
	})
}

// same compares two rows of the domain, following pointers.
func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s is\n%+v\nwant\n%+v", what, got, want)
	}
}
