package hooks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/hooks"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/pgtest"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// pinged waits until the ping of a new subscription was tried.
func (w *world) pinged(hook uuid.UUID) repository.HookDelivery {
	w.t.Helper()
	all, err := w.d.HookDeliveries(context.Background(), account, hook, repository.Page{Limit: 1})
	if err != nil || len(all) != 1 {
		w.t.Fatalf("the ping: %v, %v", all, err)
	}
	return w.delivery(hook, all[0].ID, func(d repository.HookDelivery) bool { return d.Attempts > 0 })
}

// Why there was no answer is said in words of our own, without the URL.
func TestFailures(t *testing.T) {
	o := local()
	o.Attempts = 1
	each(t, o, func(w *world) {
		nobody, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			w.t.Fatal(err)
		}
		if err := nobody.Close(); err != nil {
			w.t.Fatal(err)
		}
		called := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { w.t.Error("a server without a valid certificate was called") })
		forged := httptest.NewUnstartedServer(called)
		forged.Config.ErrorLog = nil
		forged.StartTLS()
		defer forged.Close()
		for url, want := range map[string]string{
			"http://" + nobody.Addr().String() + "/?token=hush": "The host could not be connected to.",
			forged.URL + "/?token=hush":                         "The certificate of the host is not valid.",
		} {
			if got := w.pinged(w.subscribe(url)); got.Last.Failure != want || got.SettledAt == nil {
				w.t.Errorf("%s: %+v", url, got.Last)
			}
		}
	})
}

// Of a long answer the beginning is kept, and what no text can hold is replaced.
func TestLongAnswer(t *testing.T) {
	each(t, local(), func(w *world) {
		r := newReceiver(w.t, func(rw http.ResponseWriter, _ *http.Request, _ int) {
			_, _ = rw.Write(bytes.Repeat([]byte("ab\x00\xff"), 1<<18)) // nobody reads to the end
		})
		got := w.pinged(w.subscribe(r.URL)).Last
		if !got.Delivered || !strings.HasPrefix(got.Response, "ab\uFFFD\uFFFDab") || strings.Count(got.Response, "ab") != 1024 {
			w.t.Errorf("%d bytes are kept: %.20q", len(got.Response), got.Response)
		}
	})
}

// A server that stops leaves what hangs to the next one, at once.
func TestStopWhileAReceiverHangs(t *testing.T) {
	o := local()
	o.Timeout = time.Hour
	each(t, o, func(w *world) {
		hang := make(chan struct{})
		defer close(hang)
		r := newReceiver(w.t, func(_ http.ResponseWriter, _ *http.Request, n int) {
			if n == 1 {
				<-hang
			}
		})
		hook := w.subscribe(r.URL)
		w.await(func() bool { return len(r.all()) == 1 }, func() string { return "nothing was sent" })
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if err := w.hooks.Close(ctx); err != nil {
			w.t.Fatal(err)
		}
		all, err := w.d.HookDeliveries(context.Background(), account, hook, repository.Page{Limit: 1})
		if err != nil || all[0].InFlight || all[0].Attempts != 0 || all[0].SettledAt != nil {
			w.t.Fatalf("left behind: %+v, %v", all, err)
		}
		w.dispatch(w.d.Store, o)
		if got := w.pinged(hook); !got.Last.Delivered {
			w.t.Errorf("the next one: %+v", got.Last)
		}
	})
}

// A secret is opened with the data key that it was sealed under, also when there is a
// newer one; without it the delivery waits, and nothing is sent unsigned.
func TestSecretsOutliveTheirDataKey(t *testing.T) {
	o := local()
	o.Attempts = 1000
	each(t, o, func(w *world) {
		r := newReceiver(w.t, nil)
		w.close(w.hooks)
		old := w.keys.Current()
		newer, err := cardcode.NewKey()
		if err != nil {
			w.t.Fatal(err)
		}
		hook := w.subscribe(r.URL)
		w.keys = cardcode.NewKeyring(newer)
		without := w.dispatch(w.d.Store, o)
		got := w.pinged(hook)
		w.close(without)
		if got.SettledAt != nil || got.Last.Failure != "The server could not make the request." || len(r.all()) > 0 {
			w.t.Errorf("without the key: %+v %+v", got, got.Last)
		}
		w.keys = cardcode.NewKeyring(newer, old)
		w.dispatch(w.d.Store, o)
		done := w.delivery(hook, got.ID, func(d repository.HookDelivery) bool { return d.SettledAt != nil })
		if !done.Last.Delivered || len(r.all()) != 1 {
			w.t.Errorf("with both: %+v", done.Last)
		}
		checkSigned(w.t, r.all()[0])
	})
}

// When the database is killed and comes back, what it has is told of: what was on its way
// a second time perhaps, and all in order.
func TestDatabaseIsKilled(t *testing.T) {
	t.Parallel()
	cluster := pgtest.NewCluster(t)
	cluster.Start()
	o := local()
	o.Timeout = time.Second // what was taken and not settled is free again after that and a quarter of a minute
	w := newWorld(t, repotest.Migrated(t, repository.Options{PostgresURL: cluster.URL()}), o)
	r := newReceiver(t, nil)
	w.subscribe(r.URL)
	for i := range 4 {
		w.card(fmt.Sprint("card-", i), 0)
	}
	told := 0
	for kill := range 3 {
		var running sync.WaitGroup
		for worker := range 4 {
			running.Go(func() {
				for i := range 20 {
					op := &ledger.Transact{
						ID: repotest.ID(t), Action: ledger.ActionFund, CardID: fmt.Sprint("card-", i%4), RefID: fmt.Sprint(kill, worker, i), Amount: 1,
						AmountGiven: true, Currency: ledger.NOK,
					}
					// What is refused for the outage is not there, and nobody is to hear of it.
					if _, err := w.poster.Submit(context.Background(), account, op); err != nil && !errors.Is(err, repository.ErrUnavailable) {
						t.Error(err)
					}
				}
			})
		}
		w.await(func() bool { return len(r.of("wallet_transaction")) > told+10 }, func() string { return "nothing more is told" })
		cluster.Kill()
		cluster.Start()
		running.Wait()
		told = len(r.of("wallet_transaction"))
	}
	count := w.d.Raw(t).Number(t, "SELECT count(*) FROM transactions")
	w.awaitAll(r, int(count))
	w.checkOrder(r, false)
}

// Secrets that are drawn are good, and each is another.
func TestNewSecret(t *testing.T) {
	t.Parallel()
	seen := map[cardcode.Secret]bool{}
	for range 100 {
		drawn, err := hooks.NewSecret()
		if err != nil || hooks.CheckSecret(drawn) != "" || seen[drawn] {
			t.Fatalf("drawn: %v, %q", err, hooks.CheckSecret(drawn))
		}
		seen[drawn] = true
	}
}
