package repotest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// hook adds a subscription.
func hook(t *testing.T, s *repository.Store, account string, change func(*repository.HookSubscription)) uuid.UUID {
	t.Helper()
	h := &repository.HookSubscription{
		ID: repotest.ID(t), URL: "https://shop.example/hooks", Transactions: true, Cards: true, Active: true,
		Secret: "sealed", SecretKeyID: "key-1", CreatedAt: repotest.Now, CreatedBy: account,
	}
	if change != nil {
		change(h)
	}
	if err := s.AddHook(t.Context(), account, h, repotest.ID(t)); err != nil {
		t.Fatal(err)
	}
	return h.ID
}

// outbox lists the events for a subscription, pings apart, by card and position.
func outbox(t *testing.T, d repotest.Database, hook uuid.UUID) []string {
	t.Helper()
	var events []string
	for _, row := range d.Raw(t).Rows(t, `SELECT h.event, h.id, h.position FROM hook_deliveries AS h
		JOIN cards AS c ON c.account_id = h.account_id AND c.id = h.card_object_id
		WHERE h.subscription_id = ? ORDER BY c.card_id, h.position`, hook.String()) {
		events = append(events, fmt.Sprint(row))
	}
	return events
}

// opening creates a card that has an amount from the beginning.
func opening(t *testing.T, cardID string, amount int64) *ledger.CreateCards {
	t.Helper()
	card := repotest.Card(t, cardID)
	card.Amount = amount
	return &ledger.CreateCards{Cards: []ledger.NewCard{{Card: card, OpeningID: repotest.ID(t)}}}
}

func draw(t *testing.T, cardID, ref string, amount int64) *ledger.Transact {
	t.Helper()
	return &ledger.Transact{
		ID: repotest.ID(t), Action: ledger.ActionDrawdown, CardID: cardID, RefID: ref, Amount: amount, AmountGiven: true, Currency: ledger.NOK,
	}
}

// There is an event for each transaction, and each change in the life of a card, and for
// nothing else: not for what was refused, repeated or rolled back.
func TestEventIffItHappened(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		both := hook(t, d.Store, repotest.Account, nil)
		txnsOnly := hook(t, d.Store, repotest.Account, func(h *repository.HookSubscription) { h.Cards = false })
		silent := []uuid.UUID{
			hook(t, d.Store, repotest.Account, func(h *repository.HookSubscription) { h.Active = false }),
			hook(t, d.Store, repotest.OtherAccount, nil),
		}
		removed := hook(t, d.Store, repotest.Account, nil)
		if err := d.RemoveHook(t.Context(), repotest.Account, removed, repotest.Now); err != nil {
			t.Fatal(err)
		}

		made, waiting := repotest.Card(t, "made"), repotest.Card(t, "waits")
		made.Amount = 1000
		waiting.Activated, waiting.Currency = false, ""
		create := &ledger.CreateCards{Cards: []ledger.NewCard{{Card: made, OpeningID: repotest.ID(t)}}}
		batch := &ledger.CreateCards{Batch: true, Cards: []ledger.NewCard{{Card: waiting, OpeningID: repotest.ID(t)}}}
		hold := draw(t, "made", "hold", 100)
		hold.Action = ledger.ActionPending
		first := draw(t, "made", "first", 10)
		post := func(ops ...ledger.Operation) {
			t.Helper()
			repotest.Post(t, d.Store, repotest.Account, repotest.Now, ops...)
		}
		post(create, batch, first, draw(t, "made", "too much", 5000), hold)
		again := *first
		again.ID = repotest.ID(t)
		activate := &ledger.Activate{ID: repotest.ID(t), CardID: "waits", Amount: 7, Currency: ledger.NOK}
		capture := &ledger.Transact{ID: repotest.ID(t), Action: ledger.ActionCapture, Parent: hold.ID, RefID: "capture", Amount: 40, AmountGiven: true}
		post(&again, draw(t, "nobody's", "x", 1), activate, capture)
		void := &ledger.Transact{ID: repotest.ID(t), Action: ledger.ActionVoid, Parent: hold.ID, RefID: "void"}
		remove := &ledger.DeleteCard{ID: repotest.ID(t), CardID: "made"}
		post(void, remove)
		// What comes after an activation does not tell of it once more.
		post(&ledger.RotatePIN{CardID: "waits", ID: repotest.ID(t), PINFor: func(uuid.UUID) ledger.PIN { return ledger.PIN{KeyID: "key-1", Hash: "h"} }})
		// Somebody changes their mind before the commit.
		change := errors.New("no")
		err := d.Write(t.Context(), func(tx *repository.Tx) error {
			ctx, book, op := t.Context(), ledger.NewBook(repotest.Account, repotest.Now), draw(t, "waits", "undone", 1)
			if err := tx.Load(ctx, repotest.Account, book, []ledger.Operation{op}); err != nil {
				return err
			}
			if _, err := book.Post(op); err != nil {
				return err
			}
			if err := tx.Save(ctx, repotest.Account, book.Changes()); err != nil {
				return err
			}
			if !tx.Hooked() {
				t.Error("nobody is told that there are events")
			}
			return change
		})
		if !errors.Is(err, change) {
			t.Fatal(err)
		}

		beside := activate.ID
		beside[6] = beside[6]&0x0f | 0x80
		txn := func(id uuid.UUID, seq int) string {
			return fmt.Sprint([]string{"wallet_transaction", id.String(), fmt.Sprint(4 * seq)})
		}
		card := func(id uuid.UUID, position int) string {
			return fmt.Sprint([]string{"wallet_card", id.String(), fmt.Sprint(position)})
		}
		wantTxns := []string{
			txn(create.Cards[0].OpeningID, 1), txn(first.ID, 2), txn(hold.ID, 3), txn(capture.ID, 4), txn(void.ID, 5), txn(activate.ID, 1),
		}
		wantAll := slices.Insert(slices.Insert(slices.Clone(wantTxns), 5, card(remove.ID, 4*5+3), card(waiting.ID, 1), card(beside, 2)), 0, card(made.ID, 1))
		if got := outbox(t, d, txnsOnly); !slices.Equal(got, wantTxns) {
			t.Errorf("transactions:\n%v\nwant:\n%v", got, wantTxns)
		}
		if got := outbox(t, d, both); !slices.Equal(got, wantAll) {
			t.Errorf("all events:\n%v\nwant:\n%v", got, wantAll)
		}
		for _, id := range append(silent, removed) {
			if got := outbox(t, d, id); len(got) != 0 {
				t.Errorf("a subscription that should not hear: %v", got)
			}
		}
	})
}

// Each of a commit's many rows has its event, on both ways of writing them.
func TestEventsOfALargeCommit(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		id := hook(t, d.Store, repotest.Account, nil)
		ops := []ledger.Operation{opening(t, "card", 1000)}
		for i := range 100 {
			ops = append(ops, draw(t, "card", fmt.Sprint(i), 1))
		}
		repotest.Post(t, d.Store, repotest.Account, repotest.Now, ops...)
		if n := len(outbox(t, d, id)); n != 102 {
			t.Errorf("%d events, want 102", n)
		}
	})
}

// Nothing of one account's subscriptions is seen or changed from another.
func TestHooksStayInTheirAccount(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		ctx := context.Background()
		mine, theirs := hook(t, d.Store, repotest.Account, nil), hook(t, d.Store, repotest.OtherAccount, nil)
		card := repotest.Card(t, "card")
		card.Amount = 5
		create := &ledger.CreateCards{Cards: []ledger.NewCard{{Card: card, OpeningID: repotest.ID(t)}}}
		repotest.Post(t, d.Store, repotest.OtherAccount, repotest.Now, create)
		rows := func() string {
			return fmt.Sprint(d.Raw(t).Rows(t, "SELECT * FROM hook_subscriptions ORDER BY id"), d.Raw(t).Rows(t, "SELECT * FROM hook_deliveries ORDER BY id"))
		}
		before := rows()

		hooks, err := d.Hooks(ctx, repotest.Account)
		if err != nil || len(hooks) != 1 || hooks[0].ID != mine || hooks[0].CreatedBy != repotest.Account {
			t.Errorf("subscriptions: %+v, %v", hooks, err)
		}
		id := create.Cards[0].OpeningID
		for name, err := range map[string]error{
			"Hook":            errOf(d.Hook(ctx, repotest.Account, theirs)),
			"HookDelivery":    errOf(d.HookDelivery(ctx, repotest.Account, theirs, id)),
			"HookDeliveries":  errOf(d.HookDeliveries(ctx, repotest.Account, theirs, repository.Page{Limit: 10})),
			"PingHook":        d.PingHook(ctx, repotest.Account, theirs, repotest.ID(t), repotest.Now),
			"Redeliver":       d.Redeliver(ctx, repotest.Account, theirs, id, repotest.Now),
			"RemoveHook":      d.RemoveHook(ctx, repotest.Account, theirs, repotest.Now),
			"mine and theirs": errOf(d.HookDelivery(ctx, repotest.Account, mine, id)),
		} {
			if !errors.Is(err, repository.ErrNotFound) {
				t.Errorf("%s: %v, want not found", name, err)
			}
		}
		event := repository.HookEvent{Subscription: theirs, ID: id, Event: repository.HookTransaction, Card: card.ID}
		facts, err := d.HookFacts(ctx, repotest.Account, []repository.HookEvent{event})
		if err != nil || len(facts.Hooks)+len(facts.Transactions)+len(facts.Cards) != 0 {
			t.Errorf("facts: %+v, %v", facts, err)
		}
		chains, _, err := d.RunHooks(ctx, []repository.HookWork{{
			Account: repotest.Account, Takes: []repository.HookTake{{Subscription: theirs, Streams: 10}},
			Outcomes: []repository.HookOutcome{{Event: event, Attempt: &repository.HookAttempt{}, SettledAt: repotest.Moment(5)}},
		}}, repotest.Now, repotest.Now.Add(time.Minute))
		if err != nil || len(chains) != 0 {
			t.Errorf("taken: %+v, %v", chains, err)
		}
		if after := rows(); after != before {
			t.Errorf("rows have changed:\n%s\nbefore:\n%s", after, before)
		}
	})
}

// What a server had taken and did not note in time belongs to the next one that takes it.
func TestLateOutcomeChangesNothing(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		ctx, now := t.Context(), repotest.Now
		id := hook(t, d.Store, repotest.Account, nil)
		take := []repository.HookWork{{Account: repotest.Account, Takes: []repository.HookTake{{Subscription: id, Streams: 5}}}}
		first, _, err := d.RunHooks(ctx, take, now, now.Add(time.Minute))
		if err != nil || len(first) != 1 {
			t.Fatalf("taken first: %+v, %v", first, err)
		}
		if early, _, err := d.RunHooks(ctx, take, now.Add(time.Second), now.Add(time.Minute)); err != nil || len(early) != 0 {
			t.Fatalf("taken while another has it: %+v, %v", early, err)
		}
		now = now.Add(time.Minute)
		second, _, err := d.RunHooks(ctx, take, now, now.Add(time.Minute))
		if err != nil || len(second) != 1 {
			t.Fatalf("taken once its time is up: %+v, %v", second, err)
		}
		outcome := func(c *repository.HookChain, delivered bool) []repository.HookWork {
			return []repository.HookWork{{Account: repotest.Account, Outcomes: []repository.HookOutcome{{
				Event: c.Events[0], Lease: c.Lease, SettledAt: &now, Attempt: &repository.HookAttempt{At: now, Delivered: delivered, Status: 200},
			}}}}
		}
		if _, _, err := d.RunHooks(ctx, outcome(&first[0], false), now, now); err != nil {
			t.Fatal(err)
		}
		ping := first[0].Events[0].ID
		if got, err := d.HookDelivery(ctx, repotest.Account, id, ping); err != nil || got.SettledAt != nil || !got.InFlight {
			t.Errorf("after the late outcome: %+v, %v", got, err)
		}
		if _, _, err := d.RunHooks(ctx, outcome(&second[0], true), now, now); err != nil {
			t.Fatal(err)
		}
		if got, err := d.HookDelivery(ctx, repotest.Account, id, ping); err != nil || got.SettledAt == nil || !got.Last.Delivered || got.Attempts != 1 {
			t.Errorf("after the outcome: %+v, %v", got, err)
		}
	})
}

// A delivery that failed is not tried again before its time because of those before it in
// its stream, which arrived.
func TestFailedDeliveriesKeepTheirPause(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		id := hook(t, d.Store, repotest.Account, nil)
		repotest.Post(t, d.Store, repotest.Account, repotest.Now, opening(t, "card", 5),
			draw(t, "card", "first", 1), draw(t, "card", "second", 1))
		taken := takeAll(t, d.Store, id, repotest.Now, 9, nil)
		if len(taken) != 5 {
			t.Fatalf("%d deliveries were taken, want a ping and four of the card", len(taken))
		}
		again := repotest.Now.Add(5 * time.Second)
		for i := range taken[3:] { // the third of the card fails, and the one behind it is not tried
			failed := &taken[3+i]
			failed.SettledAt, failed.NextAt = nil, again
			if failed.Attempt.Delivered, failed.Attempt.Status = false, 503; i > 0 {
				failed.Attempt = nil
			}
		}
		if n := len(takeAll(t, d.Store, id, again-1, 9, taken)); n != 0 {
			t.Errorf("%d deliveries were taken before their time", n)
		}
		if n := len(takeAll(t, d.Store, id, again, 9, nil)); n != 2 {
			t.Errorf("%d deliveries were taken at their time, want 2", n)
		}
	})
}

// Of what a server had taken when it ended, another looks at a part in one go, and the
// part may end within a stream. The rest of the stream is not left behind.
func TestTakenOverInParts(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		const cards, drawdowns = 24, 11
		all := 1 + cards*(drawdowns+2) // a ping; a card is created and filled
		id := hook(t, d.Store, repotest.Account, nil)
		for i := range cards {
			card := fmt.Sprint("card-", i)
			ops := []ledger.Operation{opening(t, card, drawdowns)}
			for n := range drawdowns {
				ops = append(ops, draw(t, card, fmt.Sprint(i, "-", n), 1))
			}
			repotest.Post(t, d.Store, repotest.Account, repotest.Now, ops...)
		}
		// Few streams in one go leave the rest as it is, so that each is taken whole.
		if n := len(takeAll(t, d.Store, id, repotest.Now, 9, nil)); n != all {
			t.Fatalf("%d deliveries were taken, want %d", n, all)
		}
		later := repotest.Now.Add(time.Minute)
		taken := takeAll(t, d.Store, id, later, 100, nil)
		for n := len(taken); n > 0; n = len(taken) {
			taken = takeAll(t, d.Store, id, later, 100, taken)
			all -= n
		}
		if all != 0 {
			t.Errorf("%d deliveries were left behind", all)
		}
	})
}

// Another server is settling a delivery, and has looked already for those that wait behind
// it. One that comes now is not parked behind it, since nobody would wake it.
func TestNotParkedBehindWhatIsBeingSettled(t *testing.T) {
	t.Parallel()
	d := repotest.Migrated(t, repotest.Postgres(t)) // there are no other servers on SQLite
	id := hook(t, d.Store, repotest.Account, nil)
	repotest.Post(t, d.Store, repotest.Account, repotest.Now, opening(t, "card", 5))
	if n := len(takeAll(t, d.Store, id, repotest.Now, 9, nil)); n != 3 {
		t.Fatalf("%d deliveries were taken, want a ping and two of the card", n)
	}
	other, err := sql.Open("pgx", d.Options.PostgresURL)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it has been committed then
	if _, err := tx.ExecContext(t.Context(), "UPDATE hook_deliveries SET in_flight = false, settled_at = 1 WHERE subscription_id = $1", id); err != nil {
		t.Fatal(err)
	}
	repotest.Post(t, d.Store, repotest.Account, repotest.Now, draw(t, "card", "late", 1))
	if n := len(takeAll(t, d.Store, id, repotest.Now, 9, nil)); n != 0 {
		t.Errorf("%d deliveries were taken before their turn", n)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if n := len(takeAll(t, d.Store, id, repotest.Now, 9, nil)); n != 1 {
		t.Errorf("%d deliveries were taken when it was their turn, want the late one", n)
	}
}

// takeAll notes that deliveries have come to their end and takes others for a minute, of
// so many streams in one go, until there are no more to take.
func takeAll(t *testing.T, s *repository.Store, hook uuid.UUID, now ledger.Micros, streams int, done []repository.HookOutcome) (taken []repository.HookOutcome) {
	t.Helper()
	for {
		chains, more, err := s.RunHooks(t.Context(), []repository.HookWork{{
			Account: repotest.Account, Outcomes: done, Takes: []repository.HookTake{{Subscription: hook, Streams: streams}},
		}}, now, now.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if len(chains) == 0 && !more {
			return taken
		}
		done = nil
		for _, c := range chains {
			for _, e := range c.Events {
				taken = append(taken, repository.HookOutcome{
					Event: e, Lease: c.Lease, SettledAt: &now, Attempt: &repository.HookAttempt{At: now, Delivered: true, Status: 200},
				})
			}
		}
	}
}

// An account has so many subscriptions and no more.
func TestTooManyHooks(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		for range repository.MaxHookSubscriptions {
			hook(t, d.Store, repotest.Account, nil)
		}
		hook(t, d.Store, repotest.OtherAccount, nil)
		err := d.AddHook(t.Context(), repotest.Account, &repository.HookSubscription{ID: repotest.ID(t)}, repotest.ID(t))
		if !errors.Is(err, repository.ErrTooManyHooks) {
			t.Errorf("one too many: %v", err)
		}
	})
}
