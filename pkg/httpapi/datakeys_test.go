package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/httpapi"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/posting"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// rotated is the same server with one data key more.
func (s *server) rotated(t testing.TB) *server {
	t.Helper()
	key, err := cardcode.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return s.variant(t, func(c *httpapi.Config) { c.DataKeys = cardcode.NewKeyring(key, c.DataKeys.All()...) })
}

// after is the same account at another server.
func (a *account) after(s *server) *account { return &account{s: s, id: a.id} }

// keyIDs lists which keys the tokens or PINs of an account are stored under.
func (a *account) keyIDs(t testing.TB, query string) []string {
	t.Helper()
	var ids []string
	for _, row := range a.s.database.Raw(t).Rows(t, query, a.id) {
		ids = append(ids, row[0])
	}
	return ids
}

const (
	tokenKeys = "SELECT key_id FROM tokens WHERE account_id = ? ORDER BY created_at, id"
	pinKeys   = "SELECT pin_key_id FROM cards WHERE account_id = ? ORDER BY id"
)

// Two rotations: what was made before each goes on working, and what is new is under
// the newest key.
func TestRotationOfTheDataKey(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		servers := []*server{s, s.rotated(t)}
		servers = append(servers, servers[1].rotated(t))
		a := s.account()
		var want []string
		var cards []object
		for n, now := range servers {
			a = a.after(now)
			card, _ := a.cardWithToken(t, object{"pin": object{}})
			cards = append(cards, card)
			want = append(want, now.config.DataKeys.Current().ID())
			if tokens, pins := a.keyIDs(t, tokenKeys), a.keyIDs(t, pinKeys); !slices.Equal(tokens, want) || !slices.Equal(pins, want) {
				t.Fatalf("after %d rotations tokens are under %v and PINs under %v, want %v", n, tokens, pins, want)
			}
			for i, card := range cards {
				a.mustWork(t, card, fmt.Sprint("rotation ", n, " card ", i))
			}
		}
		// A value of the newest key means nothing to a server without it.
		a.after(s).want(t, "not_found", info(object{"token": clearToken(cards[2])}))
		// Five wrong PINs lock, whichever key.
		for _, card := range cards {
			lockedOut(t, a, card)
		}
		fresh := a.must(t, rotatePIN(cards[0]["card_id"], object{"pin": object{}}))
		if got := a.keyIDs(t, pinKeys)[0]; got != want[2] {
			t.Errorf("a new PIN of an old card is under %s", got)
		}
		a.must(t, info(object{"token": clearToken(cards[0]), "pin": clearPIN(fresh)}))
	})
}

// mustWork uses a card by its token and PIN in every way there is, and replays it.
func (a *account) mustWork(t *testing.T, card object, ref string) {
	t.Helper()
	token, pin := clearToken(card), clearPIN(card)
	if got := a.must(t, info(object{"token": token})); got["id"] != card["id"] {
		t.Errorf("%s: the token finds another card", ref)
	}
	a.must(t, info(object{"token": token, "pin": pin}))
	a.want(t, "invalid_pin", info(object{"token": token, "pin": wrong(pin)}))
	pay := a.pay(token, 1, object{"ref_id": ref, "pin": pin})
	first := a.must(t, transact(pay))
	if again := a.must(t, transact(pay)); again["id"] != first["id"] {
		t.Errorf("%s: a replay gave another transaction", ref)
	}
	a.want(t, "invalid_pin", transact(a.pay(token, 1, object{"pin": wrong(pin)})))
	a.must(t, transact(a.pay(token, 1, object{"pin": pin})))
	a.want(t, "not_found", transact(a.pay(token+"x", 1)))
}

func lockedOut(t *testing.T, a *account, card object) {
	t.Helper()
	token, pin := clearToken(card), clearPIN(card)
	for range 5 {
		a.want(t, "invalid_pin", info(object{"token": token, "pin": wrong(pin)}))
	}
	a.want(t, "pin_locked", info(object{"token": token, "pin": pin}))
}

// A value is given out once, whichever key it is stored under: ten digits make ten
// tokens, with rotations in between.
func TestValuesAreUniqueUnderAllKeys(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		digit := object{"format": object{"length": 1, "numbers": true}}
		a := s.account()
		card := a.card(t)
		values := map[string]int{}
		add := func(made object) { values[clearOf(made)]++ }
		for range 4 {
			add(a.must(t, createToken(card["card_id"], a.newToken(digit))))
		}
		a = a.after(s.rotated(t))
		for range 2 {
			add(a.must(t, createToken(card["card_id"], a.newToken(digit))))
		}
		batch := func(n int) object {
			list := make([]any, n)
			for i := range list {
				list[i] = object{"card_id": a.s.next("batch")}
			}
			return object{"cards": list, "options": object{"card_token": digit}}
		}
		a.want(t, "token_space_exhausted", createBatch(batch(5)))
		made := a.must(t, createBatch(batch(3)))
		for _, one := range made["cards"].([]any) {
			add(one.(object)["card_token"].(object))
		}
		a = a.after(a.s.rotated(t))
		add(a.card(t, object{"card_token": digit})["card_token"].(object))
		a.want(t, "token_space_exhausted", createToken(card["card_id"], a.newToken(digit)))
		if len(values) != 10 {
			t.Errorf("the values are %v", values)
		}
		for value := range values {
			a.must(t, info(object{"token": value}))
		}
	})
}

// Two servers that disagree on which key comes first give out no value twice, while the
// database changes from one key to the other.
func TestServersThatDisagreeOnTheKey(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		newFirst := s.rotated(t)
		keys := newFirst.config.DataKeys.All()
		oldFirst := s.variant(t, func(c *httpapi.Config) { c.DataKeys = cardcode.NewKeyring(keys[1], keys[0]) })
		if s.database.Postgres() { // the other has a queue of its own
			store := repotest.Open(t, s.database.Options)
			d := repotest.Database{Store: store, Options: s.database.Options}
			poster := newPoster(t, d, posting.Options{Clock: s.clock.now, Log: s.config.Log})
			oldFirst = oldFirst.variant(t, func(c *httpapi.Config) { c.Store, c.Submit = store, poster.Submit })
		}
		named := func(ring cardcode.Keyring) (list []repository.DataKey) {
			for _, key := range ring.All() {
				list = append(list, repository.DataKey{ID: key.ID(), Fingerprint: key.Fingerprint()})
			}
			return list
		}
		for _, ring := range []cardcode.Keyring{oldFirst.config.DataKeys, newFirst.config.DataKeys} {
			if _, err := s.database.ClaimDataKeys(t.Context(), named(ring), ledger.Micros(1)); err != nil {
				t.Fatal(err)
			}
		}
		var accounts []*account
		var cards []object
		for range 12 {
			a := newFirst.account()
			accounts, cards = append(accounts, a), append(cards, a.card(t))
		}
		for i, a := range accounts {
			change := func() {}
			if i == len(accounts)/2 {
				change = func() {
					if err := s.database.UseDataKey(context.WithoutCancel(t.Context()), keys[0].ID(), ledger.Micros(2)); err != nil {
						t.Error(err)
					}
				}
			}
			raceForDigits(t, cards[i], []*account{a, a.after(oldFirst)}, change)
		}
		for i, a := range accounts {
			ids := a.keyIDs(t, tokenKeys)
			want := keys[min(1, max(0, len(accounts)/2-i))].ID() // the old one before the change
			if i != len(accounts)/2 && slices.ContainsFunc(ids, func(id string) bool { return id != want }) {
				t.Errorf("account %d has tokens under %v, want %s", i, ids, want)
			}
		}
	})
}

// raceForDigits asks two servers for tokens of one digit at once, until there are none.
func raceForDigits(t *testing.T, card object, at []*account, meanwhile func()) {
	t.Helper()
	var mu sync.Mutex
	values := map[string]bool{}
	var refused atomic.Int64
	var clients sync.WaitGroup
	for n := range 14 {
		clients.Go(func() {
			if n == 7 {
				meanwhile()
			}
			a := at[n%len(at)]
			r := a.do(t, createToken(card["card_id"], a.newToken(object{"format": object{"length": 1, "numbers": true}})))
			if r.status != http.StatusOK {
				if code := r.code(t); code != "token_space_exhausted" {
					t.Errorf("got %s", code)
				}
				refused.Add(1)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			value := clearOf(r.object(t))
			if values[value] {
				t.Errorf("value %s was given out twice", value)
			}
			values[value] = true
		})
	}
	clients.Wait()
	if len(values) != 10 || refused.Load() != 4 {
		t.Errorf("%d values, %d refusals, want 10 and 4", len(values), refused.Load())
	}
}

// A PIN under a key that is not there is neither right nor wrong.
func TestUnknownKeyOfAPIN(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		card, token := a.cardWithToken(t, object{"pin": object{}})
		if err := s.database.Raw(t).Exec("UPDATE cards SET pin_key_id = 'gone' WHERE account_id = '" + a.id + "'"); err != nil {
			t.Fatal(err)
		}
		for range 7 {
			r := a.want(t, "internal", info(object{"token": token, "pin": clearPIN(card)}))
			a.want(t, "internal", transact(a.pay(token, 1, object{"pin": wrong(clearPIN(card))})))
			logged := fmt.Sprint(s.log.records(t, r.header.Get("X-Request-Id")))
			if want := "key gone: " + ledger.ErrUnknownKey.Error(); !strings.Contains(logged, want) {
				t.Fatalf("the log does not say %q: %s", want, logged)
			}
		}
		if n := s.database.Raw(t).Number(t, "SELECT sum(pin_failures) FROM cards WHERE account_id = '"+a.id+"'"); n != 0 {
			t.Errorf("%d failures were counted", n)
		}
		a.must(t, info(object{"token": token}))
		fresh := a.must(t, rotatePIN(card["card_id"], object{"pin": object{}}))
		a.must(t, info(object{"token": token, "pin": clearPIN(fresh)}))
	})
}

// A server that lacks a data key answers nothing.
func TestMissingKeyAnswersNothing(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		var complete atomic.Bool
		complete.Store(true)
		watched := s.variant(t, func(c *httpapi.Config) { c.KeysComplete = complete.Load })
		a := watched.account()
		card, token := a.cardWithToken(t)
		complete.Store(false)
		if got := retryAfter(t, a.want(t, "overloaded", info(object{"token": token}))); got != 1 {
			t.Errorf("Retry-After is %d", got)
		}
		a.want(t, "overloaded", getCard(card["card_id"]))
		a.want(t, "overloaded", transact(a.pay(token, 1)))
		if r := watched.plain(t, http.MethodGet, "/readyz", nil); r.status != http.StatusServiceUnavailable {
			t.Errorf("/readyz: %d %s", r.status, r.body)
		}
		if r := watched.plain(t, http.MethodGet, "/healthz", nil); r.status != http.StatusOK {
			t.Errorf("/healthz: %d %s", r.status, r.body)
		}
		complete.Store(true)
		a.must(t, info(object{"token": token}))
	})
}
