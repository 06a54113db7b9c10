package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
)

const (
	// cards is how many the clients share: few enough for them to meet.
	cards = 12
	// opening is what a card begins with, in minor currency units.
	opening = 200_000
	// largest is the largest amount of one operation, in minor currency units.
	largest = 900
	// patience bounds how long a client asks for one thing.
	patience = 2 * time.Minute
	// abandonOneIn is how many of those who get no answer stop asking.
	abandonOneIn = 20
)

// load is several clients at work on one account.
type load struct {
	*trial
	journal
	url, token string
	// wait is how long the clients wait for an answer.
	wait time.Duration
	stop chan struct{}
	busy sync.WaitGroup
	err  error // the first
	once sync.Once
	sent int64 // requests
	lost int64 // times without an answer
	held int64 // times with 503
}

// newLoad creates the cards on a server that nothing disturbs yet. Through url the
// clients will reach it.
func (t *trial) newLoad(ctx context.Context, s *site, direct, url string) (*load, error) {
	token, err := s.token(account, "till", auth.ScopeRead, auth.ScopeWrite)
	if err != nil {
		return nil, err
	}
	l := &load{trial: t, url: url, token: token, wait: answerTimeout, stop: make(chan struct{})}
	c := newClient(direct, token)
	defer c.close()
	for i := range cards {
		body := fmt.Sprintf(`{"card_id":%q,"amount":%d,"currency":"NOK"}`, cardName(i), opening)
		got, err := c.send(ctx, http.MethodPost, "/cards", []byte(body))
		if err != nil || got.status != http.StatusOK {
			return nil, errors.Join(fmt.Errorf("create a card: %d %s", got.status, got.body), err)
		}
	}
	return l, nil
}

func cardName(i int) string { return "card-" + strconv.Itoa(i) }

// newClient makes one that takes part.
func (l *load) newClient() *client {
	c := newClient(l.url, l.token)
	c.http.Timeout = l.wait
	return c
}

// begin sets the clients to work.
func (l *load) begin(ctx context.Context) {
	for i := range l.Clients {
		w := &worker{
			load: l, client: l.newClient(),
			random: rand.New(rand.NewPCG(l.Seed, uint64(1000+i))), //nolint:gosec // nobody has to guess it
		}
		l.busy.Go(func() {
			defer w.client.close()
			if err := w.work(ctx); err != nil {
				l.once.Do(func() { l.err = err })
			}
		})
	}
}

// end lets the clients bring to an end what they have begun.
func (l *load) end() error {
	close(l.stop)
	l.busy.Wait()
	l.Operations += l.sent
	l.note("%d acknowledged, %d of them after a lost answer; %d refused, %d abandoned; %d times no answer, %d times 503",
		l.count(acknowledged), l.recovered(), l.count(refused), l.count(abandoned), l.lost, l.held)
	return l.err
}

// recovered counts the answers that came to somebody who had to ask again for what had
// been done already: an answer was lost after the commit.
func (l *load) recovered() (n int64) {
	for _, i := range l.intents {
		if i.replayed {
			n++
		}
	}
	return n
}

// worker is one client.
type worker struct {
	*load
	client *client
	random *rand.Rand
}

// work does one thing after the other until the load ends.
func (w *worker) work(ctx context.Context) error {
	for {
		select {
		case <-w.stop:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		if err := w.step(ctx); err != nil {
			return err
		}
	}
}

// step means to do one thing, and does it.
func (w *worker) step(ctx context.Context) error {
	cardID := cardName(w.random.IntN(cards))
	amount := w.random.Int64N(largest + 1)
	post := func(fields map[string]any) error {
		fields["amount"], fields["currency"] = amount, "NOK"
		return w.perform(ctx, cardID, "/transactions", fields)
	}
	switch dice := w.random.IntN(100); {
	case dice < 25:
		return post(map[string]any{"card_id": cardID, "type": "fund"})
	case dice < 55:
		return post(map[string]any{"card_id": cardID, "type": "drawdown", "metadata": map[string]any{"till": dice}})
	case dice < 75:
		return post(map[string]any{"card_id": cardID, "type": "drawdown", "pending": true})
	case dice < 95:
		return w.useHold(ctx, amount, dice < 88)
	default:
		return w.payByToken(ctx, cardID, amount)
	}
}

// useHold captures a part or voids the rest.
func (w *worker) useHold(ctx context.Context, amount int64, capture bool) error {
	h, ok := w.hold(w.random.IntN)
	if !ok {
		return nil
	}
	path := "/transactions/" + h.id
	if !capture {
		return w.perform(ctx, h.card, path+"/void", map[string]any{})
	}
	fields := map[string]any{}
	if w.random.IntN(2) == 0 {
		fields["amount"] = amount / 3
	}
	return w.perform(ctx, h.card, path+"/capture", fields)
}

// payByToken makes a token and spends it, if its value was told.
func (w *worker) payByToken(ctx context.Context, cardID string, amount int64) error {
	i, err := w.intend(cardID, cardPath(cardID)+"/tokens", map[string]any{"expires_in": 3600})
	if err != nil {
		return err
	}
	if err := w.pursue(ctx, i); err != nil || i.state != acknowledged {
		return err
	}
	var made struct {
		Token struct{ Value string }
	}
	if err := json.Unmarshal(i.told.body, &made); err != nil || made.Token.Value == "" {
		return nil //nolint:nilerr // the answer with the value was lost: nobody has it
	}
	return w.perform(ctx, cardID, "/transactions", map[string]any{
		"token": made.Token.Value, "type": "drawdown", "amount": amount, "currency": "NOK",
	})
}

// perform means to do something and asks until there is an outcome.
func (w *worker) perform(ctx context.Context, cardID, path string, fields map[string]any) error {
	i, err := w.intend(cardID, path, fields)
	if err != nil {
		return err
	}
	return w.pursue(ctx, i)
}

// pursue asks until there is an outcome, or gives up now and then.
func (w *worker) pursue(ctx context.Context, i *intent) error {
	for begun := time.Now(); ; {
		i.attempts++
		got, err := w.client.send(ctx, http.MethodPost, i.path, i.body)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.counted(err, got)
		if err == nil && got.status != http.StatusServiceUnavailable {
			w.judge(i, got)
			return nil
		}
		if err == nil && got.header.Get("Retry-After") == "" {
			w.violate("503 without Retry-After for %s of %s", i.path, i.ref)
		}
		if time.Since(begun) > patience {
			w.violate("no outcome of %s for %s within %s: %v", i.path, i.ref, patience, err)
			w.settle(i, abandoned, answer{})
			return nil
		}
		if w.random.IntN(abandonOneIn) == 0 {
			w.settle(i, abandoned, answer{})
			return nil
		}
		if err := pause(ctx, time.Duration(5+w.random.IntN(45))*time.Millisecond); err != nil {
			return err
		}
	}
}

// counted counts an attempt.
func (l *load) counted(err error, got answer) {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.sent++
	if err != nil {
		l.lost++
	} else if got.status == http.StatusServiceUnavailable {
		l.held++
	}
}

// judge notes what a client was told.
func (w *worker) judge(i *intent, got answer) {
	switch {
	case got.status == http.StatusOK:
		if i.attempts == 1 && got.header.Get("Idempotency-Replayed") != "" {
			w.violate("%s was answered as a replay the first time", i.ref)
		}
		w.settle(i, acknowledged, got)
	case expected[got.code()] == got.status:
		w.settle(i, refused, got)
	default:
		w.violate("%s of %s was answered with %d %s", i.path, i.ref, got.status, got.body)
		w.settle(i, refused, got)
	}
}

// under disturbs the load until the share of the attack is over, and then checks.
func (l *load) under(ctx context.Context, s *site, direct string, disturb func(context.Context) error) error {
	until := time.Now().Add(l.share)
	l.begin(ctx)
	var err error
	for err == nil && time.Now().Before(until) {
		err = disturb(ctx)
	}
	if err := errors.Join(err, l.end()); err != nil {
		return err
	}
	return l.check(ctx, s, direct)
}
