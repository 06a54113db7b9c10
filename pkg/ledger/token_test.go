package ledger_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

func TestTokenChoice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 100))
	w.do(w.create("B", 100))
	first := w.do(w.token("A", "t1", "x", "y", "z"))
	if !slices.Equal(first.Choices, []int{0}) || first.Token.Hash != hashOf("x") || first.Token.Masked != "***x" ||
		first.Token.Card != w.card("A").ID || first.Token.CreatedAt != w.now || first.Token.ExpiresAt != nil {
		t.Errorf("the first token is %+v, took %v", first.Token, first.Choices)
	}
	second := w.do(w.token("B", "t1", "x", "y", "z"))
	if !slices.Equal(second.Choices, []int{1}) || second.Token.Hash != hashOf("y") {
		t.Errorf("the second token is %+v, took %v", second.Token, second.Choices)
	}
	w.do(w.token("A", "t2", "x", "y", "z"))
	w.refuse(w.token("A", "t3", "x", "y", "z"), ledger.CodeTokenSpaceExhausted)
	w.refuse(w.token("A", "t3"), ledger.CodeTokenSpaceExhausted)
	// Spent, expired, deleted: a value is never given out again.
	w.do(byToken(w.draw("", "d", 1), "x"))
	w.do(w.delete("B"))
	w.refuse(w.token("A", "t3", "x", "y", "z"), ledger.CodeTokenSpaceExhausted)
	w.do(w.token("A", "t3", "fresh")) // the refusals have not used the ref_id
}

// underKeys gives the candidates hashes under another key as well.
func underKeys(n *ledger.NewToken, others ...string) {
	for i := range n.Candidates {
		for _, key := range others {
			n.Candidates[i].Others = append(n.Candidates[i].Others, ledger.KeyedHash{KeyID: key, Hash: n.Candidates[i].Hash + " under " + key})
		}
	}
}

// A value is taken under whichever key it was given out, and the book says under which
// one the next is.
func TestTokensUnderTwoKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 100))
	w.do(w.token("A", "old", "x")) // when there was one key
	id := w.card("A").ID
	book := func(keyID string) *ledger.Book {
		b := ledger.NewBook(testAccount, w.now)
		b.AddCard(w.card("A"))
		b.AddToken(ledger.Token{ID: w.id(), Card: id, Hash: hashOf("x"), KeyID: "key-1"})
		if keyID != "" {
			b.HashTokensUnder(keyID)
		}
		return b
	}
	for keyID, want := range map[string]string{
		"": hashOf("y"), "key-1": hashOf("y"), "key-2": hashOf("y") + " under key-2",
	} {
		op := w.token("A", "new", "x", "y")
		underKeys(&op.New, "key-2", "key-3")
		b := book(keyID)
		made, err := b.Post(op)
		if err != nil || made.Token.Hash != want || !slices.Equal(made.Choices, []int{1}) || keyID != "" && made.Token.KeyID != keyID {
			t.Errorf("under %q: %+v, %v, %v", keyID, made.Token, made.Choices, err)
		}
		again, err := b.Post(op)
		if err != nil || again.Replayed || !slices.Equal(again.Choices, []int{1}) {
			t.Errorf("under %q, the same operation again: %v, %v", keyID, again.Choices, err)
		}
		others := []ledger.KeyedHash{{KeyID: "key-2", Hash: hashOf("y") + " under key-2"}}
		if found, err := b.Post(&ledger.CheckPIN{TokenHash: hashOf("y"), OtherHashes: others}); err != nil || found.Token.ID != made.Token.ID {
			t.Errorf("under %q it is not found: %v", keyID, err)
		}
	}
	op := w.token("A", "new", "y")
	underKeys(&op.New, "key-2")
	b := book("key-9")
	if _, err := b.Post(op); !errors.Is(err, ledger.ErrUnknownKey) {
		t.Errorf("under a key that the operation does not know: %v", err)
	}
	if changes := b.Changes(); !changes.Empty() {
		t.Errorf("it has changed %+v", changes)
	}
}

// The tokens of one list never take the same value, and without enough values
// there is no card.
func TestTokenChoiceWithinAList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	three := func() *ledger.CreateCards {
		op := w.batch("A", "B", "C", "D")
		for _, i := range []int{0, 2, 3} {
			token := w.newToken("", "x", "y", "z")
			op.Cards[i].Token = &token
		}
		return op
	}
	if got := w.do(three()); !slices.Equal(got.Choices, []int{0, 1, 2}) {
		t.Errorf("took %v", got.Choices)
	}
	for _, name := range []string{"A", "B", "C", "D"} {
		w.do(w.delete(name))
	}
	w.refuse(three(), ledger.CodeTokenSpaceExhausted)
	if n := len(w.store.Cards(testAccount)); n != 4 {
		t.Errorf("a refused list left %d cards", n-4)
	}
}

func TestTokenExpiry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 100))
	op := w.token("A", "t", "x")
	op.New.Token.ExpiresIn, op.New.Token.SingleUse = 60, false
	token := w.do(op).Token
	if token.ExpiresAt == nil || *token.ExpiresAt != noon.Add(time.Minute) {
		t.Fatalf("the token expires at %v", token.ExpiresAt)
	}
	w.now = *token.ExpiresAt - 1
	w.do(byToken(w.draw("", "d1", 1), "x"))
	w.do(&ledger.CheckPIN{TokenHash: hashOf("x")})
	w.now++
	w.refuse(byToken(w.draw("", "d2", 1), "x"), ledger.CodeNotFound)
	w.refuse(&ledger.CheckPIN{TokenHash: hashOf("x")}, ledger.CodeNotFound)

	const longest = 3_153_600_000 // seconds, a hundred years
	op = w.token("A", "t2", "y")
	op.New.Token.ExpiresIn = longest
	if at := w.do(op).Token.ExpiresAt; *at != w.now.Add(longest*time.Second) {
		t.Errorf("the token expires at %d", *at)
	}
}

func TestSingleUse(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(*world) *ledger.Transact{
		"fund":     func(w *world) *ledger.Transact { return w.fund("", "u", 0) },
		"drawdown": func(w *world) *ledger.Transact { return w.draw("", "u", 1) },
		"pending":  func(w *world) *ledger.Transact { return w.pend("", "u", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.do(w.create("A", 100))
			w.do(w.token("A", "t", "x"))
			w.refuse(byToken(w.draw("", "much", 101), "x"), ledger.CodeInsufficientFunds) // does not spend it
			op := byToken(use(w), "x")
			used := w.do(op)
			if used.Txn.Token == uuid.Nil || used.Txn.Address != ledger.ByToken {
				t.Errorf("the transaction is %+v", used.Txn)
			}
			for _, action := range []ledger.Action{ledger.ActionFund, ledger.ActionDrawdown, ledger.ActionPending} {
				w.refuse(byToken(w.money(action, "", "more", 0), "x"), ledger.CodeTokenUsed)
			}
			w.do(&ledger.CheckPIN{TokenHash: hashOf("x")}) // looking goes on
			if name == "pending" {
				w.do(w.void(op.ID, "v"))
				w.refuse(byToken(w.draw("", "more", 1), "x"), ledger.CodeTokenUsed) // a void gives nothing back
			}
		})
	}
}

func TestManyUses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 100))
	op := w.token("A", "t", "x")
	op.New.Token.SingleUse = false
	w.do(op)
	for _, ref := range []string{"d1", "d2", "d3"} {
		w.do(byToken(w.draw("", ref, 10), "x"))
	}
	tokens, err := w.store.Tokens(t.Context(), testAccount, w.card("A").ID)
	if err != nil || len(tokens) != 1 || tokens[0].SpentBy != uuid.Nil {
		t.Errorf("the token is %+v, %v", tokens, err)
	}
}

// A token of a batch-made card waits with its card.
func TestTokenOfAnInactiveCard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := w.batch("A")
	token := w.newToken("", "x")
	op.Cards[0].Token = &token
	w.do(op)
	w.refuse(byToken(w.draw("", "d", 0), "x"), ledger.CodeCardInactive)
	w.do(&ledger.CheckPIN{TokenHash: hashOf("x")})
	w.do(w.activate("A", 10))
	w.do(byToken(w.draw("", "d", 10), "x"))
}

// Two drawdowns of one batch cannot both have the one transaction of a token, nor
// the last money of a card.
func TestOneBatchSpendsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 10))
	w.do(w.token("A", "t", "x"))
	answers := w.store.SubmitAll(t.Context(), testAccount, w.now, []ledger.Operation{
		byToken(w.draw("", "d1", 4), "x"), byToken(w.draw("", "d2", 4), "x"),
		w.draw("A", "d3", 6), w.draw("A", "d4", 1), w.draw("A", "d3", 6),
	})
	want := []ledger.Code{"", ledger.CodeTokenUsed, "", ledger.CodeInsufficientFunds, ""}
	for i, a := range answers {
		var got ledger.Code
		if a.Err != nil {
			got = refusalOf(t, a.Err).Code
		}
		if got != want[i] {
			t.Errorf("operation %d: %q, must be %q", i, got, want[i])
		}
	}
	if !answers[4].Result.Replayed {
		t.Error("the retry within the batch is not a replay")
	}
}

// A client may guess the value of a token that the same batch makes. The ref_ids
// of its card count all the same.
func TestTokenMadeAndNamedInOneBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 100))
	w.do(w.draw("A", "r", 10))
	answers := w.store.SubmitAll(t.Context(), testAccount, w.now, []ledger.Operation{
		w.token("A", "t", "1"), byToken(w.draw("", "r", 10), "1"), byToken(w.draw("", "r2", 10), "1"),
	})
	if answers[0].Err != nil || answers[2].Err != nil {
		t.Fatalf("%v %v", answers[0].Err, answers[2].Err)
	}
	if refusal := refusalOf(t, answers[1].Err); refusal.Code != ledger.CodeRefIDConflict {
		t.Errorf("a ref_id in use: %s", refusal.Code)
	}
	w.expect("A", figures{funds: 100, drawdown: 20, balance: 80, available: 80})
}
