package posting

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// maxJump is how far a bad clock jumps, in hours.
const maxJump = 12

// jump is a length of time in either direction, in microseconds.
func jump() ledger.Micros {
	const micros = maxJump * int64(time.Hour/time.Microsecond)
	return ledger.Micros(rand.Int64N(2*micros) - micros) //nolint:gosec // no secret
}

// The clock of a server jumps hours forwards and backwards between any two batches,
// while many clients are at work on one card. Their history is as it would be else, and
// the times in it never run backwards.
func TestClockThatJumps(t *testing.T) {
	t.Parallel()
	clock := func(string) ledger.Micros { return repotest.Now + jump() }
	each(t, Options{MaxBatch: 10, Clock: clock}, func(t *testing.T, b *bench) {
		accounts := []string{"T00000001", "T00000002"}
		openCards(t, b, accounts)
		c := &crowd{poster: b.Poster, accounts: accounts, prefix: "jump"}
		c.run(t.Context(), stressClients, stressSteps(), 3)
		if err := errors.Join(c.errs...); err != nil {
			t.Fatal(err)
		}
		checkStress(t, b, accounts, c.acks)
	})
}

// Whatever the clock was before: a card can be drawn from between its two dates, a token
// pays until it expires, a hold is settled at any time, and an old request is answered
// as it was.
func TestDatesUnderAClockThatJumps(t *testing.T) {
	t.Parallel()
	each(t, Options{}, func(t *testing.T, b *bench) {
		var now atomic.Int64
		now.Store(int64(repotest.Now))
		p := newPoster(t, b.store, Options{Clock: func(string) ledger.Micros { return ledger.Micros(now.Load()) }})
		b.Poster = p
		from, expires := repotest.Now.Add(-maxJump*time.Hour/2), repotest.Now.Add(maxJump*time.Hour/2)
		card := creation(t, "dated", stressFunds)
		card.Cards[0].Card.ActiveFrom, card.Cards[0].Card.ExpiresAt = &from, &expires
		card.Cards[0].Token = newToken(t, "", "short")
		card.Cards[0].Token.Token.SingleUse = false
		tokenExpires := repotest.Now.Add(time.Hour)
		card.Cards[0].Token.Token.ExpiresAt = &tokenExpires
		b.must(t, card)
		j := &jumper{bench: b, from: from, expires: expires, tokenExpires: tokenExpires}
		edges := []ledger.Micros{from, expires, tokenExpires}
		for n := range 60 {
			moment := repotest.Now + jump()
			if edge := edges[n%len(edges)]; n%2 == 0 {
				moment = edge - ledger.Micros(n/2%2) // at the moment, and just before
			}
			now.Store(int64(moment))
			j.step(t, moment, n)
		}
		auditAccount(t, b.store, b.raw, repotest.Account)
	})
}

// jumper does things at moments in any order.
type jumper struct {
	*bench
	from, expires, tokenExpires ledger.Micros
	first                       *ledger.Transact
	answer                      ledger.Transaction
	last                        ledger.Micros // created_at of the newest transaction
}

func (j *jumper) step(t *testing.T, moment ledger.Micros, n int) {
	t.Helper()
	var refusal ledger.Code
	switch {
	case moment >= j.expires:
		refusal = ledger.CodeCardExpired
	case moment < j.from:
		refusal = ledger.CodeCardNotActiveYet
	}
	hold := transact(t, ledger.ActionPending, "dated", fmt.Sprint("hold-", n), 5)
	j.expect(t, hold, refusal)
	byToken := transact(t, ledger.ActionDrawdown, "", fmt.Sprint("token-", n), 1)
	byToken.TokenHash = "short"
	if moment >= j.tokenExpires {
		j.expect(t, byToken, ledger.CodeNotFound)
	} else {
		j.expect(t, byToken, refusal)
	}
	if j.first != nil { // the same request again, under an id of its own
		again := *j.first
		again.ID = repotest.ID(t)
		if result := j.must(t, &again); !result.Replayed || result.Txn != j.answer {
			t.Errorf("at %s, again: %+v, replayed %t, want %+v", moment.Time(), result.Txn, result.Replayed, j.answer)
		}
	}
	if refusal != "" {
		return
	}
	if j.first == nil {
		j.first = hold
		again := *hold
		again.ID = repotest.ID(t)
		j.answer = j.must(t, &again).Txn
		return // its hold stays open until the end
	}
	capture := transact(t, ledger.ActionCapture, "", fmt.Sprint("capture-", n), 5)
	capture.Parent = hold.ID
	j.expect(t, capture, "")
}

// expect submits an operation that has to be refused with a code, or to succeed where
// it is empty, not before what came last.
func (j *jumper) expect(t *testing.T, op *ledger.Transact, code ledger.Code) {
	t.Helper()
	result, err := j.Submit(t.Context(), repotest.Account, op)
	switch {
	case code != "" && !refusedWith(err, code):
		t.Errorf("%s %s: %v, want %s", op.Action, op.RefID, err, code)
	case code == "" && err != nil:
		t.Errorf("%s %s: %v", op.Action, op.RefID, err)
	case code == "" && result.Txn.CreatedAt < j.last:
		t.Errorf("%s %s ran backwards", op.Action, op.RefID)
	case code == "":
		j.last = result.Txn.CreatedAt
	}
}

// A clock that runs backwards opens no lock and gives no guess back; a lock that then
// lies hours ahead is told as the longest there is.
func TestPINLockUnderAClockThatJumps(t *testing.T) {
	t.Parallel()
	each(t, Options{}, func(t *testing.T, b *bench) {
		var now atomic.Int64
		p := newPoster(t, b.store, Options{Clock: func(string) ledger.Micros { return ledger.Micros(now.Load()) }})
		b.Poster = p
		now.Store(int64(repotest.Now))
		op := creation(t, "locked", 100)
		op.Cards[0].Card.PIN = &ledger.PIN{ID: repotest.ID(t), Hash: "hash", KeyID: "key"}
		op.Cards[0].Token = newToken(t, "", "hash")
		b.must(t, op)
		end := repotest.Now.Add(ledger.PINLockTime)
		const hours = 12 * time.Hour
		for n, step := range []struct {
			at      ledger.Micros
			right   bool
			refusal ledger.Code
		}{
			{repotest.Now, false, ledger.CodeInvalidPIN},
			{repotest.Now.Add(-hours), false, ledger.CodeInvalidPIN}, // no guess is given back
			{repotest.Now.Add(hours), false, ledger.CodeInvalidPIN},
			{repotest.Now.Add(-hours), false, ledger.CodeInvalidPIN},
			{repotest.Now, false, ledger.CodeInvalidPIN},           // the fifth
			{repotest.Now.Add(-hours), true, ledger.CodePINLocked}, // the lock is hours ahead now
			{repotest.Now.Add(-hours), false, ledger.CodePINLocked},
			{end - 1, true, ledger.CodePINLocked},
			{end, false, ledger.CodeInvalidPIN}, // the first of a new count
			{repotest.Now, true, ""},            // though the clock is back in the time of the lock
			{end - 1, false, ledger.CodeInvalidPIN},
		} {
			now.Store(int64(step.at))
			_, err := b.Submit(t.Context(), repotest.Account, &ledger.CheckPIN{TokenHash: "hash", PIN: ledger.PINCheck{
				Compare: func(uuid.UUID, *ledger.PIN) (bool, error) { return step.right, nil },
			}})
			var refusal *ledger.Refusal
			if errors.As(err, &refusal) && (refusal.RetryAfter < 0 || refusal.RetryAfter > ledger.PINLockTime) {
				t.Errorf("step %d: try again after %v", n, refusal.RetryAfter)
			}
			if step.refusal == "" && err != nil || step.refusal != "" && !refusedWith(err, step.refusal) {
				t.Errorf("step %d: %v, want %q", n, err, step.refusal)
			}
		}
	})
}
