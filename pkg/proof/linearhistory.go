package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// history is what some clients asked of one or two fresh cards, and were told.
type history struct {
	*linearizer
	number int
	routes []route
	begun  time.Time

	mu         sync.Mutex
	cards      []*linearCard
	operations []porcupine.Operation
	visitors   int // clients so far, for the picture
}

// linearCard is a card of a history, and what the clients know of it.
type linearCard struct {
	name  string
	sent  []request // under a ref_id each, in the order in which they were meant
	holds []string  // ids
}

// newHistory creates the cards.
func (l *linearizer) newHistory(ctx context.Context, number int) (*history, error) {
	h := &history{linearizer: l, number: number, routes: l.direct}
	if l.random.IntN(spoilOneIn) == 0 {
		h.routes = l.spoiled
	}
	h.routes = h.routes[:leastLinearClients+l.random.IntN(mostLinearClients-leastLinearClients+1)]
	for i := range 1 + l.random.IntN(2) {
		c := &linearCard{name: fmt.Sprintf("card-%d-%d", number, i)}
		body := fmt.Sprintf(`{"card_id":%q,"amount":%d,"currency":"NOK"}`, c.name, linearOpening)
		got, err := l.direct[0].client.send(ctx, http.MethodPost, "/cards", []byte(body))
		if err != nil || got.status != http.StatusOK {
			return nil, errors.Join(fmt.Errorf("create a card: %d %s", got.status, got.body), err)
		}
		h.cards = append(h.cards, c)
	}
	return h, nil
}

// write lets the clients do their work, and reads the cards once more at the end, when
// everybody is gone and no answer is lost.
func (h *history) write(ctx context.Context) error {
	h.begun = time.Now()
	// The first two begin with the very same request.
	twin := h.cards[0].mean(request{verb: doPending, amount: linearOpening / 4, given: true})
	start := make(chan struct{})
	var busy sync.WaitGroup
	failed := make([]error, len(h.routes))
	for n, r := range h.routes {
		v := h.visitor(n, r)
		busy.Go(func() {
			<-start
			if n < 2 {
				failed[n] = v.ask(ctx, twin)
			}
			for range leastRequests + v.random.IntN(mostRequests-leastRequests+1) {
				if failed[n] != nil {
					return
				}
				failed[n] = v.ask(ctx, h.draw(v.random))
			}
		})
	}
	h.visitors = len(h.routes)
	close(start)
	busy.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	last := h.visitor(0, h.direct[0])
	for _, c := range h.cards {
		if err := last.ask(ctx, request{card: c.name, verb: doGet}); err != nil {
			return err
		}
	}
	return nil
}

// visitor is one of the clients.
func (h *history) visitor(n int, r route) *visitor {
	source := rand.NewPCG(h.Seed, uint64(h.number+1)<<8+uint64(n))         //nolint:gosec // neither is negative
	return &visitor{history: h, route: r, random: rand.New(source), id: n} //nolint:gosec // nobody has to guess it
}

// draw means to do something on a card.
func (h *history) draw(random *rand.Rand) request {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.cards[random.IntN(len(h.cards))]
	amount := random.Int64N(linearOpening * 2 / 3)
	switch dice := random.IntN(100); {
	case dice < 14:
		return request{card: c.name, verb: doGet}
	case dice < 36 && len(c.sent) > 0:
		return c.again(random, dice < 31)
	case dice < 60 && len(c.holds) > 0:
		return c.settle(random, amount, dice < 51)
	case dice < 68:
		return c.mean(request{verb: doFund, amount: amount / 2, given: true})
	case dice < 84:
		return c.mean(request{verb: doDrawdown, amount: amount, given: true})
	default:
		return c.mean(request{verb: doPending, amount: amount, given: true})
	}
}

// mean gives a new request its card and a ref_id. Another card may have the same.
func (c *linearCard) mean(r request) request {
	r.card, r.ref = c.name, fmt.Sprintf("ref-%d", len(c.sent))
	c.sent = append(c.sent, r)
	return r
}

// settle captures from one of the last holds, all or an amount, or voids it.
func (c *linearCard) settle(random *rand.Rand, amount int64, capture bool) request {
	const last = 3
	recent := c.holds[max(0, len(c.holds)-last):]
	r := request{verb: doVoid, parent: recent[random.IntN(len(recent))]}
	if capture {
		r.verb = doCapture
		if r.given = random.IntN(2) == 0; r.given {
			r.amount = amount
		}
	}
	return c.mean(r)
}

// again picks a request that was meant before, by anybody, the latest most of all, which
// are probably under way. It may come with another amount, under the same ref_id.
func (c *linearCard) again(random *rand.Rand, same bool) request {
	r := c.sent[len(c.sent)-1-random.IntN(1+random.IntN(len(c.sent)))]
	if !same && r.verb != doVoid {
		r.amount, r.given = r.amount+1, true
	}
	return r
}

// visitor is a client of a history.
type visitor struct {
	*history
	route

	random *rand.Rand
	id     int
}

// ask sends a request once, and notes what came of it.
func (v *visitor) ask(ctx context.Context, r request) error {
	if v.proxy != nil && v.random.IntN(loseOneIn) == 0 {
		v.fault()
	}
	method, path, body, err := r.http()
	if err != nil {
		return err
	}
	call := time.Since(v.begun)
	got, err := v.client.send(ctx, method, path, body)
	back := time.Since(v.begun)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	is := outcome{lost: true, status: got.status}
	if err == nil && got.status != http.StatusServiceUnavailable {
		if is, err = read(r, got); err != nil {
			v.violate("%s of %s was answered with %d %s", r, r.card, got.status, got.body)
		}
	}
	v.keep(r, is, call, back)
	return nil
}

// fault loses an answer, to a client or to a COMMIT, or ends the connections of clients.
func (v *visitor) fault() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.visitors-len(v.routes) >= enoughLost {
		return
	}
	v.Faults++
	switch dice := v.random.IntN(8); {
	case dice < 2:
		v.proxy.cut()
	case dice < 4 && v.database != nil:
		v.database.mute.Store(1)
	default:
		v.proxy.mute.Store(1)
	}
}

// keep adds to the history. A client that was left without an answer is another one from
// then on, as its request may be under way beside the next.
func (v *visitor) keep(r request, is outcome, call, back time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	id := v.id
	if is.lost {
		if r.verb == doGet {
			return // it does nothing, and told nothing
		}
		v.id = v.visitors
		v.visitors++
	}
	v.operations = append(v.operations, porcupine.Operation{
		ClientId: id, Input: r, Output: is, Call: call.Nanoseconds(), Return: back.Nanoseconds(),
	})
	if is.txn.Type != typeOf(doPending) {
		return
	}
	for _, c := range v.cards {
		if c.name == r.card && !slices.Contains(c.holds, is.txn.ID) {
			c.holds = append(c.holds, is.txn.ID)
		}
	}
}

// http is how a request is sent.
func (r request) http() (method, path string, body []byte, err error) {
	fields := map[string]any{"ref_id": r.ref}
	path = "/transactions"
	switch r.verb {
	case doGet, doEnd:
		return http.MethodGet, cardPath(r.card), nil, nil
	case doCapture:
		path += "/" + r.parent + "/capture"
	case doVoid:
		path += "/" + r.parent + "/void"
	case doFund:
		fields["card_id"], fields["type"], fields["currency"] = r.card, "fund", "NOK"
	case doDrawdown, doPending:
		fields["card_id"], fields["type"], fields["currency"] = r.card, "drawdown", "NOK"
		fields["pending"] = r.verb == doPending
	}
	if r.given {
		fields["amount"] = r.amount
	}
	if body, err = json.Marshal(fields); err != nil {
		return "", "", nil, fmt.Errorf("write a request: %w", err)
	}
	return http.MethodPost, path, body, nil
}

// read reads an answer.
func read(r request, got answer) (is outcome, err error) {
	is = outcome{status: got.status, replayed: got.header.Get("Idempotency-Replayed") == "true"}
	switch {
	case got.status != http.StatusOK:
		var body struct {
			Error struct {
				Code   string
				Errors []struct {
					Existing string `json:"existing_id"`
				}
			}
		}
		if err = json.Unmarshal(got.body, &body); err == nil && len(body.Error.Errors) > 0 {
			is.existing = body.Error.Errors[0].Existing
		}
		is.code = body.Error.Code
	case r.verb == doGet:
		err = json.Unmarshal(got.body, &is.card)
		is.card.ID = ""
	default:
		is.body = string(got.body)
		err = json.Unmarshal(got.body, &is.txn)
	}
	return is, err
}
