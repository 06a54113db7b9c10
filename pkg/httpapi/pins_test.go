package httpapi_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/httpapi"
)

// retryAfter reads the header, in seconds.
func retryAfter(t *testing.T, r *reply) int {
	t.Helper()
	seconds, err := strconv.Atoi(r.header.Get("Retry-After"))
	if err != nil {
		t.Fatalf("Retry-After: %v", err)
	}
	return seconds
}

func TestPINLock(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		card, token := lock(t, a)
		right := object{"token": token, "pin": clearPIN(card)}
		if got := retryAfter(t, a.want(t, "pin_locked", info(right))); got != 15*60 {
			t.Errorf("Retry-After is %d, want 900", got)
		}
		a.later(time.Minute)
		if got := retryAfter(t, a.want(t, "pin_locked", transact(a.pay(token, 1, object{"pin": clearPIN(card)})))); got != 14*60 {
			t.Errorf("Retry-After is %d, want 840", got)
		}
		a.must(t, info(object{"token": token}))
		a.must(t, transact(a.pay(token, 1)))
		a.later(14*time.Minute - time.Microsecond)
		if got := retryAfter(t, a.want(t, "pin_locked", info(right))); got != 1 {
			t.Errorf("Retry-After is %d, want 1", got)
		}
		a.later(time.Microsecond)
		for range 4 { // the count began again at 0
			a.want(t, "invalid_pin", info(with(right, object{"pin": wrong(clearPIN(card))})))
		}
		a.must(t, info(right))
		for range 4 { // and again after a right one
			a.want(t, "invalid_pin", transact(a.pay(token, 1, object{"pin": wrong(clearPIN(card))})))
		}
		a.must(t, transact(a.pay(token, 1, object{"pin": clearPIN(card)})))
	})
}

func TestRotationOpensALockedPIN(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		card, token := lock(t, a)
		fresh := clearPIN(a.must(t, rotatePIN(card["card_id"], object{"pin": object{"format": object{"length": 8, "numbers": true}}})))
		a.want(t, "invalid_pin", info(object{"token": token, "pin": clearPIN(card)}))
		for range 3 {
			a.want(t, "invalid_pin", info(object{"token": token, "pin": wrong(fresh)}))
		}
		a.must(t, info(object{"token": token, "pin": fresh}))
	})
}

// Guesses over many connections at once get five tries, not five each.
func TestParallelGuesses(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		card, token := a.cardWithToken(t, object{"pin": object{}})
		var wrongOnes, locked atomic.Int64
		var guesses sync.WaitGroup
		for range 20 {
			guesses.Go(func() {
				for range 5 {
					switch code := a.do(t, info(object{"token": token, "pin": wrong(clearPIN(card))})).code(t); code {
					case "invalid_pin":
						wrongOnes.Add(1)
					case "pin_locked":
						locked.Add(1)
					default:
						t.Errorf("got %s", code)
					}
				}
			})
		}
		guesses.Wait()
		if wrongOnes.Load() != 5 || locked.Load() != 95 {
			t.Errorf("%d guesses were tried and %d locked out, want 5 and 95", wrongOnes.Load(), locked.Load())
		}
	})
}

// What is not a guess is not counted: no PIN, and a PIN for a card without one.
func TestUncountedPINs(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		demanding := s.variant(t, func(c *httpapi.Config) { c.RequirePIN = true })
		a := demanding.account()
		card, token := a.cardWithToken(t, object{"pin": object{}})
		_, bare := a.cardWithToken(t)
		for range 7 {
			a.want(t, "invalid_pin", info(object{"token": token}))
			a.want(t, "invalid_pin", transact(a.pay(token, 1)))
			a.want(t, "invalid_pin", info(object{"token": bare, "pin": "000000"}))
		}
		a.must(t, info(object{"token": token, "pin": clearPIN(card)}))
		a.must(t, transact(a.pay(token, 1, object{"pin": clearPIN(card)})))
		a.must(t, info(object{"token": bare}))
		a.must(t, transact(a.pay(bare, 1)))
		a.must(t, transact(a.txn(card, 1))) // by card_id nothing is demanded
		a.want(t, "invalid_pin", transact(a.txn(card, 1, object{"pin": wrong(clearPIN(card))})))
		a.want(t, "not_found", info(object{"token": "unknown"}))
	})
}

// A refused transaction counts the wrong PIN although it changes nothing else.
func TestPINOfOneCardIsNotAnothers(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		format := object{"pin": object{"format": object{"length": 16, "numbers": true}}}
		first, second := a.card(t, format), a.card(t, format)
		a.want(t, "invalid_pin", transact(a.txn(second, 1, object{"pin": clearPIN(first)})))
		a.must(t, transact(a.txn(second, 1, object{"pin": clearPIN(second)})))
		a.want(t, "invalid_pin", transact(a.txn(a.card(t), 1, object{"pin": clearPIN(first)})))
	})
}
