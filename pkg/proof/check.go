package proof

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
)

// mostReplays bounds how many acknowledged requests are sent again.
const mostReplays = 4000

// check compares what the clients were told with what there is. The server runs
// undisturbed, and the load has ended.
func (l *load) check(ctx context.Context, s *site, direct string) error {
	c := newClient(direct, l.token)
	defer c.close()
	byCard := map[string][]*intent{}
	for _, i := range l.intents {
		byCard[i.card] = append(byCard[i.card], i)
	}
	for n := range cards {
		if err := l.checkCard(ctx, c, cardName(n), byCard[cardName(n)]); err != nil {
			return err
		}
	}
	if err := l.checkReplays(ctx, c); err != nil {
		return err
	}
	if said, err := s.run(ctx, "verify"); err != nil {
		l.violate("kort verify: %v: %s", err, said)
	}
	return nil
}

// checkCard compares the history of a card with the intents, and its figures with sums
// over its history.
func (l *load) checkCard(ctx context.Context, c *client, cardID string, intents []*intent) error {
	var is card
	if err := c.get(ctx, cardPath(cardID), &is); err != nil {
		return err
	}
	var raw []json.RawMessage
	if err := c.get(ctx, cardPath(cardID)+"/transactions", &raw); err != nil {
		return err
	}
	history, stored := make([]transaction, len(raw)), make(map[string]json.RawMessage, len(raw))
	for n, row := range raw {
		if err := json.Unmarshal(row, &history[n]); err != nil {
			return fmt.Errorf("read the history of %s: %w", cardID, err)
		}
		if _, twice := stored[history[n].RefID]; twice {
			l.violate("%s has two transactions %s", cardID, history[n].RefID)
		}
		stored[history[n].RefID] = row
	}
	l.checkSums(&is, history)
	for _, i := range intents {
		if i.isToken() {
			continue
		}
		l.checkIntent(i, stored[i.ref])
		delete(stored, i.ref)
	}
	delete(stored, is.ID) // the opening
	for ref := range stored {
		l.violate("%s has a transaction %s that nobody asked for", cardID, ref)
	}
	return nil
}

// checkIntent compares what a client was told with the row that there is, nil if there
// is none.
func (l *load) checkIntent(i *intent, row json.RawMessage) {
	switch {
	case i.state == acknowledged && row == nil:
		l.violate("%s of %s was acknowledged and is not there: %s", i.ref, i.card, i.told.body)
	case i.state == acknowledged && !sameJSON(row, i.told.body):
		l.violate("%s of %s was acknowledged as %s and is %s", i.ref, i.card, i.told.body, row)
	case i.state == refused && row != nil:
		l.violate("%s of %s was refused with %s and is there: %s", i.ref, i.card, i.code, row)
	case i.state == open:
		l.violate("%s of %s has no outcome", i.ref, i.card)
	}
}

// checkSums compares the figures of a card with sums over its history.
func (l *load) checkSums(is *card, history []transaction) {
	want := card{ID: is.ID, CardID: is.CardID}
	locked := map[string]int64{}
	for _, txn := range history {
		switch txn.Type {
		case "fund":
			want.Funds += txn.Amount
		case "drawdown":
			want.Drawdown += txn.Amount
			if txn.ParentID != "" {
				locked[txn.ParentID] -= txn.Amount
			}
		case "pending_capture":
			locked[txn.ID] += txn.Amount
		case "voided":
			locked[txn.ParentID] -= txn.Amount
		default:
			l.violate("%s has a transaction of type %q", is.CardID, txn.Type)
		}
	}
	for id, amount := range locked {
		if amount < 0 {
			l.violate("the hold %s of %s has given %d more than it had", id, is.CardID, -amount)
		}
		want.Pending += amount
	}
	want.Reserved, want.Balance = want.Pending, want.Funds-want.Drawdown
	want.Available = want.Balance - want.Reserved
	if *is != want {
		l.violate("%s is %+v, and its history says %+v", is.CardID, *is, want)
	}
	if want.Available < 0 {
		l.violate("more was taken from %s than was on it: %+v", is.CardID, want)
	}
}

// checkReplays sends acknowledged requests again: the answer has to be the first one.
func (l *load) checkReplays(ctx context.Context, c *client) error {
	replayed := 0
	for _, n := range l.random.Perm(len(l.intents)) {
		i := l.intents[n]
		if i.state != acknowledged {
			continue
		}
		if replayed++; replayed > mostReplays {
			break
		}
		got, err := c.ask(ctx, http.MethodPost, i.path, i.body)
		if err != nil {
			return fmt.Errorf("send %s again: %w", i.ref, err)
		}
		l.Operations++
		switch {
		case got.status != http.StatusOK:
			l.violate("%s, sent again, was answered with %d %s", i.ref, got.status, got.body)
		case got.header.Get("Idempotency-Replayed") != "true":
			l.violate("%s, sent again, was not answered as a replay", i.ref)
		case !i.isToken() && !bytes.Equal(got.body, i.told.body):
			l.violate("%s was answered with %s, and again with %s", i.ref, i.told.body, got.body)
		}
	}
	return nil
}

// get reads an answer that has to be 200.
func (c *client) get(ctx context.Context, path string, into any) error {
	got, err := c.ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return fmt.Errorf("get %s: %w", path, err)
	}
	if got.status != http.StatusOK {
		return fmt.Errorf("get %s: %s: %s", path, strconv.Itoa(got.status), strings.TrimSpace(string(got.body)))
	}
	if err := json.Unmarshal(got.body, into); err != nil {
		return fmt.Errorf("get %s: %w", path, err)
	}
	return nil
}

// sameJSON tells whether two texts have the same value.
func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
