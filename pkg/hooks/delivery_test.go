package hooks_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the published signature
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/hooks"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// A life of a card is told event by event, in order, and each is signed in both ways.
func TestLifeOfACard(t *testing.T) {
	each(t, local(), func(w *world) {
		r := newReceiver(w.t, nil)
		hook := w.subscribe(r.URL)
		waiting := repotest.Card(w.t, "life")
		waiting.Activated, waiting.Currency = false, ""
		w.post(&ledger.CreateCards{Batch: true, Cards: []ledger.NewCard{{Card: waiting, OpeningID: repotest.ID(w.t)}}})
		w.post(&ledger.Activate{ID: repotest.ID(w.t), CardID: "life", Amount: 500, Currency: ledger.NOK, CustomerID: "anna", By: "till"})
		pending := w.post(&ledger.Transact{
			ID: repotest.ID(w.t), Action: ledger.ActionPending, CardID: "life", RefID: "hold", Amount: 100, AmountGiven: true, Currency: ledger.NOK,
			Metadata: `{"n":123456789012345678901234567890,"t":"<&>"}`,
		}).Txn
		w.post(&ledger.Transact{ID: repotest.ID(w.t), Action: ledger.ActionCapture, Parent: pending.ID, RefID: "take", Amount: 30, AmountGiven: true})
		w.post(&ledger.Transact{ID: repotest.ID(w.t), Action: ledger.ActionVoid, Parent: pending.ID, RefID: "void"})
		w.post(&ledger.DeleteCard{ID: repotest.ID(w.t), CardID: "life", By: "support"})
		want := []string{
			"created", "activated", "fund 500", "pending_capture 100", "drawdown 30", "voided 70", "deleted",
		}
		var got []string
		w.await(func() bool {
			got = nil
			for _, c := range r.all() {
				switch {
				case c.Event == "wallet_card" && c.Card.ID == waiting.ID:
					got = append(got, c.Change)
				case c.Event == "wallet_transaction" && c.Transaction.CardID == "life":
					got = append(got, fmt.Sprintf("%s %d", c.Transaction.Type, c.Transaction.Amount))
				}
			}
			return len(got) >= len(want)
		}, func() string { return fmt.Sprint("told: ", got) })
		if !slices.Equal(got, want) {
			w.t.Errorf("told %v, want %v", got, want)
		}
		w.await(func() bool { return len(r.of("ping")) > 0 }, func() string { return "there was no ping" })
		if n := len(r.of("ping")); n != 1 {
			w.t.Errorf("%d pings, want the one of the creation", n)
		}
		for _, c := range r.all() {
			checkSigned(w.t, c)
		}
		all, err := w.d.HookDeliveries(context.Background(), account, hook, repository.Page{Limit: 100})
		if err != nil || len(all) != len(want)+1 {
			w.t.Errorf("%d deliveries, want %d: %v", len(all), len(want)+1, err)
		}
	})
}

// checkSigned checks the headers of a call by the published rule and by the library of
// the standard.
func checkSigned(t testing.TB, c call) {
	t.Helper()
	mac := hmac.New(sha1.New, []byte(secret.Reveal()))
	mac.Write(c.Body)
	if got := c.Header.Get("event-signature"); got != hex.EncodeToString(mac.Sum(nil)) {
		t.Errorf("the published signature is %s", got)
	}
	standard, err := standardwebhooks.NewWebhook(secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if err := standard.Verify(c.Body, c.Header); err != nil {
		t.Errorf("the standard's library: %v", err)
	}
	if !hooks.Verify(c.Header, c.Body, secret) || hooks.Verify(c.Header, append(c.Body, ' '), secret) || hooks.Verify(c.Header, c.Body, "another secret of ours") {
		t.Error("our own check does not tell right from wrong")
	}
	for name, want := range map[string]string{
		"Event": c.Event, "Event-Delivery": c.EventDelivery.String(), "Webhook-Id": c.EventDelivery.String(), "Content-Type": "application/json",
	} {
		if got := c.Header.Get(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	if c.AccountID != account {
		t.Errorf("the account is %q", c.AccountID)
	}
}

// A secret that does not look like the standard's is a key as it is.
func TestPlainSecretVerifies(t *testing.T) {
	t.Parallel()
	const plain = cardcode.Secret("sixteen-letters!")
	if reason := hooks.CheckSecret(plain); reason != "" {
		t.Fatal(reason)
	}
	header, body := http.Header{}, []byte(`{"event":"ping"}`)
	hooks.Sign(header, "ping", uuid.New(), time.Now(), body, plain)
	standard, err := standardwebhooks.NewWebhookRaw([]byte(plain.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	if err := standard.Verify(body, header); err != nil {
		t.Error(err)
	}
}

// What fails is tried again, later each time, and given up after so many attempts; what
// comes behind it on the same card waits, and other cards do not.
func TestRetriesAndDeadLetters(t *testing.T) {
	o := local()
	o.Attempts, o.Timeout = 3, 300*time.Millisecond
	each(t, o, func(w *world) {
		for name, test := range map[string]struct {
			answer  func(rw http.ResponseWriter, r *http.Request)
			status  int
			failure string
			once    bool
		}{
			"500": {answer: func(rw http.ResponseWriter, _ *http.Request) {
				http.Error(rw, "no\x00\xff way", http.StatusInternalServerError)
			}, status: 500},
			"404":      {answer: func(rw http.ResponseWriter, r *http.Request) { http.NotFound(rw, r) }, status: 404},
			"redirect": {answer: func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, "/elsewhere", http.StatusFound) }, status: 302},
			"hangs": {answer: func(_ http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
			}, failure: "There was no answer in time."},
			"drips": {answer: func(rw http.ResponseWriter, r *http.Request) {
				if _, err := rw.Write([]byte("H")); err != nil { // of a body that does not go on
					return
				}
				<-r.Context().Done()
			}, failure: "There was no answer in time."},
			"resets":      {answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, failure: "The connection ended without an answer."},
			"bad request": {answer: func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadRequest) }, status: 400, once: true},
			"gone":        {answer: func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusGone) }, status: 410, once: true},
		} {
			bad := newReceiver(w.t, func(rw http.ResponseWriter, r *http.Request, _ int) {
				if r.URL.Path == "/elsewhere" {
					w.t.Errorf("%s: a redirect was followed", name)
				}
				test.answer(rw, r)
			})
			hook := w.subscribe(bad.URL + "/here")
			txn := w.card("card-"+uuid.NewString(), 5)
			opening, err := w.d.Transactions(context.Background(), account, txn.ID, 0, 1)
			if err != nil {
				w.t.Fatal(err)
			}
			dead := w.delivery(hook, opening[0].ID, func(d repository.HookDelivery) bool { return d.SettledAt != nil })
			attempts := int64(3)
			if test.once {
				attempts = 1
			}
			if dead.Attempts != attempts || dead.Last.Status != test.status || dead.Last.Failure != test.failure ||
				dead.Last.Delivered || dead.InFlight {
				w.t.Errorf("%s: %+v %+v", name, dead, dead.Last)
			}
			if test.status == 500 && dead.Last.Response != "no\uFFFD\uFFFD way\n" {
				w.t.Errorf("the response is kept as %q", dead.Last.Response)
			}
			// What is behind it on the card was not sent before.
			calls := bad.all()
			seen := map[uuid.UUID]int{}
			for _, c := range calls {
				seen[c.EventDelivery]++
			}
			if seen[opening[0].ID] != int(attempts) {
				w.t.Errorf("%s: the receiver got it %d times, want %d", name, seen[opening[0].ID], attempts)
			}
			if err := w.d.RemoveHook(context.Background(), account, hook, ledger.MicrosOf(time.Now())); err != nil {
				w.t.Fatal(err)
			}
		}
	})
}

// A receiver that recovers gets everything, in order, and what was given up can be sent
// again.
func TestRecoveryAndRedelivery(t *testing.T) {
	o := local()
	o.Attempts = 2
	each(t, o, func(w *world) {
		var mu sync.Mutex
		down := true
		r := newReceiver(w.t, func(rw http.ResponseWriter, _ *http.Request, _ int) {
			mu.Lock()
			defer mu.Unlock()
			if down {
				rw.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		hook := w.subscribe(r.URL)
		card := w.card("card", 0)
		first := w.fund("card", "a")
		w.delivery(hook, first.ID, func(d repository.HookDelivery) bool { return d.SettledAt != nil && !d.Last.Delivered })
		mu.Lock()
		down = false
		mu.Unlock()
		second := w.fund("card", "b")
		w.delivery(hook, second.ID, func(d repository.HookDelivery) bool { return d.SettledAt != nil && d.Last.Delivered })
		for _, id := range []uuid.UUID{first.ID, card.ID} {
			if err := w.d.Redeliver(context.Background(), account, hook, id, ledger.MicrosOf(time.Now())); err != nil {
				w.t.Fatal(err)
			}
			w.hooks.Wake()
			again := w.delivery(hook, id, func(d repository.HookDelivery) bool { return d.SettledAt != nil && d.Last.Delivered })
			if again.Attempts != 1 {
				w.t.Errorf("attempts are counted anew: %d", again.Attempts)
			}
		}
		third := w.fund("card", "c")
		w.delivery(hook, third.ID, func(d repository.HookDelivery) bool { return d.SettledAt != nil && d.Last.Delivered })
	})
}

// Under load on few cards, with a receiver that fails every tenth time, each event
// arrives and those of a card for the first time in their order; and when nothing fails,
// none arrives twice, although two servers share the work.
func TestOrderUnderConcurrency(t *testing.T) {
	for name, failing := range map[string]int{"sound": 0, "failing": 10} {
		t.Run(name, func(t *testing.T) {
			o := local()
			o.Attempts = 100
			each(t, o, func(w *world) {
				r := newReceiver(w.t, func(rw http.ResponseWriter, _ *http.Request, n int) {
					if failing > 0 && n%failing == 0 {
						rw.WriteHeader(http.StatusInternalServerError)
					}
				})
				w.subscribe(r.URL)
				if w.d.Postgres() {
					w.dispatch(repotest.Open(w.t, w.d.Options), o)
				}
				const cards, workers, each = 5, 10, 20
				for i := range cards {
					w.card(fmt.Sprint("card-", i), 0)
				}
				var running sync.WaitGroup
				for worker := range workers {
					running.Go(func() {
						for i := range each {
							w.fund(fmt.Sprint("card-", (worker+i)%cards), fmt.Sprintf("%d-%d", worker, i))
						}
					})
				}
				running.Wait()
				w.awaitAll(r, workers*each)
				w.checkOrder(r, failing == 0)
			})
		})
	}
}

// awaitAll waits until so many different transactions have arrived.
func (w *world) awaitAll(r *receiver, n int) {
	w.t.Helper()
	seen := map[uuid.UUID]bool{}
	w.await(func() bool {
		for _, c := range r.of("wallet_transaction") {
			seen[c.Transaction.ID] = true
		}
		return len(seen) >= n
	}, func() string { return fmt.Sprintf("%d of %d transactions have arrived", len(seen), n) })
}

// checkOrder compares what arrived with the transactions there are.
func (w *world) checkOrder(r *receiver, once bool) {
	w.t.Helper()
	seen, firsts := map[uuid.UUID]int{}, map[string][]uuid.UUID{}
	for _, c := range r.of("wallet_transaction") {
		if seen[c.Transaction.ID]++; seen[c.Transaction.ID] == 1 {
			firsts[c.Transaction.CardID] = append(firsts[c.Transaction.CardID], c.Transaction.ID)
		} else if once {
			w.t.Errorf("%s arrived twice", c.Transaction.ID)
		}
	}
	for _, cardID := range slices.Sorted(maps.Keys(firsts)) {
		card, err := w.d.Card(context.Background(), account, cardID)
		if err != nil {
			w.t.Fatal(err)
		}
		txns, err := w.d.Transactions(context.Background(), account, card.ID, 0, 10_000)
		if err != nil {
			w.t.Fatal(err)
		}
		var want []uuid.UUID
		for i := range txns {
			want = append(want, txns[i].ID)
		}
		if !slices.Equal(firsts[cardID], want) {
			w.t.Errorf("%s: %d arrived in another order than the %d that there are", cardID, len(firsts[cardID]), len(want))
		}
	}
}

// A receiver that is slow does not keep another waiting.
func TestSlowReceiverKeepsNobodyWaiting(t *testing.T) {
	o := local()
	o.Concurrency, o.PerSubscription, o.Timeout = 4, 2, patience
	each(t, o, func(w *world) {
		release := make(chan struct{})
		slow := newReceiver(w.t, func(http.ResponseWriter, *http.Request, int) { <-release })
		quick := newReceiver(w.t, nil)
		w.subscribe(slow.URL)
		for i := range 10 {
			w.card(fmt.Sprint("before-", i), 0)
		}
		w.subscribe(quick.URL)
		for i := range 10 {
			w.card(fmt.Sprint("card-", i), 1)
		}
		w.awaitAll(quick, 10)
		if n := len(slow.all()); n > 2 {
			w.t.Errorf("the slow one was called %d times at once", n)
		}
		close(release)
		w.awaitAll(slow, 10)
	})
}

// A delivery reaches a receiver on an idle server at once, not at the next look.
func TestWakesUpOnCommit(t *testing.T) {
	o := local()
	o.Poll = time.Hour
	each(t, o, func(w *world) {
		r := newReceiver(w.t, nil)
		w.subscribe(r.URL)
		w.card("card", 0)
		w.fund("card", "a")
		w.awaitAll(r, 1)
	})
}

// What was settled is removed after a while, and all there is of a subscription that was
// removed; what is not settled stays.
func TestPurge(t *testing.T) {
	o := local()
	o.Keep = time.Hour
	each(t, o, func(w *world) {
		ctx := context.Background()
		r := newReceiver(w.t, nil)
		kept, removed := w.subscribe(r.URL), w.subscribe(r.URL)
		txn := w.fund(w.card("card", 0).CardID, "a")
		for _, hook := range []uuid.UUID{kept, removed} {
			w.delivery(hook, txn.ID, func(d repository.HookDelivery) bool { return d.SettledAt != nil })
		}
		purge := func(before time.Time) {
			w.t.Helper()
			for n := 1; n > 0; {
				var err error
				if n, err = w.d.PurgeHooks(ctx, ledger.MicrosOf(before)); err != nil {
					w.t.Fatal(err)
				}
			}
		}
		count := func(table string) int64 { return w.d.Raw(w.t).Number(w.t, "SELECT count(*) FROM "+table) }
		purge(time.Now().Add(-time.Hour))
		if n := count("hook_deliveries"); n != 2*3 {
			w.t.Errorf("%d deliveries after a purge of what is older, want all 6", n)
		}
		if err := w.d.RemoveHook(ctx, account, removed, ledger.MicrosOf(time.Now())); err != nil {
			w.t.Fatal(err)
		}
		purge(time.Now().Add(-time.Hour))
		if n := count("hook_deliveries"); n != 3 {
			w.t.Errorf("%d deliveries once a subscription is removed, want 3", n)
		}
		raw := w.d.Raw(w.t)
		for i := range 1100 { // more than goes in one commit
			raw.MustExec(w.t, `INSERT INTO hook_deliveries (account_id, subscription_id, id, event, stream_id, position, created_at, settled_at)
				VALUES (?, ?, ?, 'wallet_card', ?, 1, 0, ?)`, account, kept.String(), uuid.NewString(), uuid.NewString(), i+1)
		}
		if n, err := w.d.PurgeHooks(ctx, ledger.MicrosOf(time.Now().Add(-time.Hour))); err != nil || n != 500 {
			w.t.Errorf("%d go in one commit, want 500: %v", n, err)
		}
		purge(time.Now().Add(time.Hour))
		if n, hooks := count("hook_deliveries"), count("hook_subscriptions"); n != 0 || hooks != 1 {
			w.t.Errorf("%d deliveries and %d subscriptions after everything has got old, want 0 and 1", n, hooks)
		}
	})
}
