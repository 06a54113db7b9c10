package hooks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/hooks"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/posting"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

const (
	account = repotest.Account
	secret  = cardcode.Secret("whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0IQ==")
	// patience is how long a test waits for what has to happen.
	patience = time.Minute
)

// world is a database with a poster and a dispatcher.
type world struct {
	t      testing.TB
	d      repotest.Database
	keys   cardcode.Keyring
	poster *posting.Poster
	hooks  *hooks.Dispatcher
}

// each runs a test in a world on each engine.
func each(t *testing.T, o hooks.Options, test func(w *world)) {
	t.Helper()
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		t.Helper()
		test(newWorld(t, d, o))
	})
}

func newWorld(t testing.TB, d repotest.Database, o hooks.Options) *world {
	t.Helper()
	key, err := cardcode.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, d: d, keys: cardcode.NewKeyring(key)}
	o.Keys, o.Log = w.keys, slog.New(slog.DiscardHandler)
	w.hooks = w.dispatch(d.Store, o)
	w.poster = posting.New(d.Store, posting.Options{Hooked: w.hooks.Wake, Log: o.Log})
	t.Cleanup(func() {
		if err := w.poster.Close(context.Background()); err != nil {
			t.Errorf("close the poster: %v", err)
		}
	})
	return w
}

func (w *world) dispatch(s *repository.Store, o hooks.Options) *hooks.Dispatcher {
	o.Keys, o.Log = w.keys, slog.New(slog.DiscardHandler)
	dispatcher := hooks.Start(s, o)
	w.t.Cleanup(func() { w.close(dispatcher) })
	return dispatcher
}

func (w *world) close(d *hooks.Dispatcher) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.Close(ctx); err != nil {
		w.t.Errorf("close a dispatcher: %v", err)
	}
}

// local are options for receivers on this machine, with short pauses.
func local() hooks.Options {
	return hooks.Options{
		Targets: hooks.Targets{HTTP: true, Private: true}, Poll: 20 * time.Millisecond,
		FirstPause: time.Millisecond, LongestPause: 20 * time.Millisecond,
	}
}

// subscribe adds a subscription to all events.
func (w *world) subscribe(url string) uuid.UUID { return w.subscribeAs(account, url) }

func (w *world) subscribeAs(account, url string) uuid.UUID {
	w.t.Helper()
	id := repotest.ID(w.t)
	key := w.keys.Current()
	sealed, err := key.Seal(cardcode.Hook, account, id.String(), secret)
	if err != nil {
		w.t.Fatal(err)
	}
	h := &repository.HookSubscription{
		ID: id, URL: url, Transactions: true, Cards: true, Active: true, Secret: sealed, SecretKeyID: key.ID(),
		CreatedAt: ledger.MicrosOf(time.Now()), CreatedBy: "clerk",
	}
	if err := w.d.AddHook(context.Background(), account, h, repotest.ID(w.t)); err != nil {
		w.t.Fatal(err)
	}
	w.hooks.Wake()
	return id
}

// post posts an operation that has to succeed.
func (w *world) post(op ledger.Operation) ledger.Result {
	w.t.Helper()
	result, err := w.poster.Submit(context.Background(), account, op)
	if err != nil {
		w.t.Errorf("%T: %v", op, err)
	}
	return result
}

func (w *world) card(cardID string, amount int64) ledger.Card {
	w.t.Helper()
	card := repotest.Card(w.t, cardID)
	card.Amount = amount
	op := &ledger.CreateCards{Cards: []ledger.NewCard{{Card: card, OpeningID: repotest.ID(w.t)}}}
	return w.post(op).Cards[0]
}

func (w *world) fund(cardID, ref string) ledger.Transaction {
	w.t.Helper()
	return w.post(&ledger.Transact{
		ID: repotest.ID(w.t), Action: ledger.ActionFund, CardID: cardID, RefID: ref, Amount: 1, AmountGiven: true, Currency: ledger.NOK, By: "clerk",
	}).Txn
}

// delivery waits until a delivery is as a test wants it.
func (w *world) delivery(subscription, id uuid.UUID, is func(d repository.HookDelivery) bool) repository.HookDelivery {
	w.t.Helper()
	var last repository.HookDelivery
	w.await(func() bool {
		var err error
		last, err = w.d.HookDelivery(context.Background(), account, subscription, id)
		return err == nil && is(last)
	}, func() string { return fmt.Sprintf("the delivery is %+v %+v", last, last.Last) })
	return last
}

// await waits until something is true.
func (w *world) await(is func() bool, otherwise func() string) {
	w.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			for _, row := range w.d.Raw(w.t).Rows(w.t, "SELECT event, stream_id, position, next_at, in_flight, attempts, settled_at, http_status, failure FROM hook_deliveries ORDER BY stream_id, position") {
				w.t.Log(row)
			}
			w.t.Fatal(otherwise())
		}
	}
}

// call is a request that a receiver got.
type call struct {
	Header http.Header
	Body   []byte
	told
}

// told is the body of an event.
type told struct {
	AccountID     string    `json:"account_id"`
	Event         string    `json:"event"`
	EventDelivery uuid.UUID `json:"event_delivery"`
	Change        string    `json:"change"`
	Transaction   struct {
		ID     uuid.UUID `json:"id"`
		CardID string    `json:"card_id"`
		RefID  string    `json:"ref_id"`
		Type   string    `json:"type"`
		Amount int64     `json:"amount"`
	} `json:"transaction"`
	Card struct {
		ID     uuid.UUID `json:"id"`
		CardID string    `json:"card_id"`
	} `json:"card"`
}

// receiver records what it gets.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	calls []call
	// answer, when set, answers in its place. It returns whether the call counts.
	answer func(w http.ResponseWriter, r *http.Request, n int)
}

func newReceiver(t testing.TB, answer func(w http.ResponseWriter, r *http.Request, n int)) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		http.Error(w, "no body", http.StatusInternalServerError)
		return
	}
	c := call{Header: request.Header.Clone(), Body: body}
	if err := json.Unmarshal(body, &c.told); err != nil {
		http.Error(w, "no JSON", http.StatusInternalServerError)
		return
	}
	r.mu.Lock()
	r.calls = append(r.calls, c)
	n := len(r.calls)
	r.mu.Unlock()
	if r.answer != nil {
		r.answer(w, request, n)
	}
}

func (r *receiver) all() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// of are the calls about an event.
func (r *receiver) of(event string) []call {
	return slices.DeleteFunc(r.all(), func(c call) bool { return c.Event != event })
}
