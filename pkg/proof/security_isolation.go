package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strings"
)

// longPIN is the form of PINs that appear nowhere by chance.
const longPIN = 20

// isolation lets each of two accounts reach for what is in the other.
func (i *intruder) isolation(ctx context.Context) error {
	w := i.wire(0)
	defer w.close()
	if err := i.rehearse(ctx, w, victim); err != nil {
		return err
	}
	from, to, rounds := thief, victim, 0
	err := i.during(isolationPart, func() error {
		rounds++
		for _, account := range []string{from, to} { // what they have from the round before
			if err := i.disconnect(ctx, w, account); err != nil {
				return err
			}
		}
		if err := i.reach(ctx, w, from, to); err != nil {
			return err
		}
		if err := i.sameNames(ctx, w, from, to); err != nil {
			return err
		}
		if err := i.lockOut(ctx, w, from, to); err != nil {
			return err
		}
		from, to = to, from
		return nil
	})
	i.note("%d operations reached for from another account, in %d rounds", len(i.operations), rounds)
	return errors.Join(err, i.disconnect(ctx, w, from), i.disconnect(ctx, w, to)) // or they would hear of what comes next
}

// rehearse lets an owner do all that is attacked: a refusal of what nobody may do shows
// nothing. What is there already conflicts, which is as good.
func (i *intruder) rehearse(ctx context.Context, w *wire, owner string) error {
	token, err := i.mint(owner, "owner")
	if err != nil {
		return err
	}
	for _, o := range i.operations {
		for _, p := range o.probes() {
			own, err := i.equipment(ctx, w, owner)
			if err != nil {
				return err
			}
			r, err := p.request(owner, own)
			if err != nil {
				return err
			}
			got, err := i.ask(ctx, w, r.by(token))
			if err != nil {
				return err
			}
			if !got.granted() && got.status != http.StatusConflict {
				return fmt.Errorf("%s is refused to the owner, which makes the attack blind: %d %s", p, got.status, shorten(string(got.body)))
			}
			if err := i.disconnect(ctx, w, owner); err != nil {
				return err
			}
		}
	}
	return nil
}

// belonging is what an owner has, under the names of the contract.
func (i *intruder) belonging(ctx context.Context, w *wire, owner, cardID, customer string) (names, error) {
	token, err := i.mint(owner, "owner")
	if err != nil {
		return nil, err
	}
	created, err := i.newCard(ctx, w, owner, token, map[string]any{"card_id": cardID, "customer_id": customer})
	if err != nil {
		return nil, err
	}
	ref := i.name("ref")
	r, err := post(owner, "/transactions", map[string]any{
		"card_id": cardID, "ref_id": ref, "amount": 100, "currency": "NOK", "pending": true,
	})
	if err != nil {
		return nil, err
	}
	held, err := i.must(ctx, w, r.by(token))
	if err != nil {
		return nil, err
	}
	var txn transaction
	if err := json.Unmarshal(held.body, &txn); err != nil {
		return nil, err
	}
	return names{
		"card_id": cardID, "customer_id": customer, "ref_id": ref, "transaction_id": txn.ID,
		"token": created.token, "pin": created.pin, "cursor": created.id, "receiver": i.receiver.url(),
	}, nil
}

// absent are names of the same shape that exist nowhere.
func (i *intruder) absent() names {
	absent := names{
		"card_id": i.name("card"), "customer_id": i.name("customer"), "ref_id": i.name("ref"),
		"token":    fmt.Sprintf("DINCARD:00000000-0000-4000-8000-%012d", i.drawn.Add(1)),
		"pin":      "00000000000000000000",
		"receiver": i.receiver.url(),
	}
	for _, name := range objectNames() {
		absent[name] = fmt.Sprintf("00000000-0000-7000-8000-%012d", i.drawn.Add(1))
	}
	return absent
}

// newCardAnswer is what a new card's owner is told.
type newCardAnswer struct{ id, token, pin string }

// newCard makes a card with money, a PIN that can be searched for and a token that is
// not used up.
func (i *intruder) newCard(ctx context.Context, w *wire, owner, bearer string, fields map[string]any) (newCardAnswer, error) {
	body := map[string]any{
		"amount": 10_000, "currency": "NOK",
		"pin":        map[string]any{"format": map[string]any{"length": longPIN, "numbers": true, "characters": true}},
		"card_token": map[string]any{"expires_after_transaction": false},
	}
	for name, value := range fields {
		body[name] = value
	}
	r, err := post(owner, "/cards", body)
	if err != nil {
		return newCardAnswer{}, err
	}
	got, err := i.must(ctx, w, r.by(bearer))
	if err != nil {
		return newCardAnswer{}, err
	}
	var card struct {
		ID        string
		Pin       struct{ Pin struct{ Value string } }
		CardToken struct{ Token struct{ Value string } } `json:"card_token"`
	}
	err = json.Unmarshal(got.body, &card)
	if err == nil && (card.Pin.Pin.Value == "" || card.CardToken.Token.Value == "") {
		err = errors.New("a new card has no PIN or no token")
	}
	return newCardAnswer{card.ID, card.CardToken.Token.Value, card.Pin.Pin.Value}, err
}

// reach asks for each operation in another account: in the path of the other, which is
// forbidden whatever there is, and in one's own with what the other has: all of it, or
// one thing among one's own.
func (i *intruder) reach(ctx context.Context, w *wire, from, to string) error {
	type attempt struct {
		probe
		theirs names
	}
	var attempts []attempt
	for _, o := range i.operations {
		for _, p := range o.probes() {
			theirs, err := i.belonging(ctx, w, to, i.name("private"), i.name("private customer"))
			if err != nil {
				return err
			}
			attempts = append(attempts, attempt{p, theirs})
		}
	}
	// Later than the cards, which it hears of.
	connected, err := i.connections(ctx, w, to, true)
	if err != nil {
		return err
	}
	ours, err := i.equipment(ctx, w, from)
	if err != nil {
		return err
	}
	before, err := i.stateOf(ctx, w, to)
	if err != nil {
		return err
	}
	token, err := i.mint(from, "owner") // as the owner over there is called, which must not help
	if err != nil {
		return err
	}
	for _, a := range attempts {
		maps.Copy(a.theirs, connected)
		if err := i.tryPath(ctx, w, a.probe, a.theirs, to, token); err != nil {
			return err
		}
		if err := i.tryNames(ctx, w, a.probe, a.theirs, from, token); err != nil {
			return err
		}
		if err := i.tryOneName(ctx, w, a.probe, ours, a.theirs, from, token); err != nil {
			return err
		}
	}
	return i.unchanged(ctx, w, to, before)
}

// equipment is all that an account can have. Its subscription is not active: it is not
// for hearing of anything.
func (i *intruder) equipment(ctx context.Context, w *wire, owner string) (names, error) {
	all, err := i.belonging(ctx, w, owner, i.name("injected"), i.name("injected customer"))
	if err != nil {
		return nil, err
	}
	connected, err := i.connections(ctx, w, owner, false)
	maps.Copy(all, connected)
	return all, err
}

// tryPath uses a token in the path of an account that it was not made for.
func (i *intruder) tryPath(ctx context.Context, w *wire, p probe, theirs names, to, token string) error {
	there, err := i.try(ctx, w, p, to, theirs, token)
	if err != nil {
		return err
	}
	if there.status != http.StatusForbidden || there.code() != "forbidden" {
		i.violate("%s in the path of another account: %d %s", p, there.status, shorten(string(there.body)))
	}
	nobody, err := i.try(ctx, w, p, nowhere, theirs, token)
	if err == nil && !same(there, nobody) {
		i.violate("%s tells an account from one that is nowhere: %s", p, difference(there, nobody))
	}
	return err
}

// tryNames uses in one's own account what another one has. That has to be answered like
// what is nowhere, to the byte. What is made anew differs in what the server draws.
func (i *intruder) tryNames(ctx context.Context, w *wire, p probe, theirs names, from, token string) error {
	there, err := i.try(ctx, w, p, from, theirs, token)
	if err != nil {
		return err
	}
	absent := i.absent()
	nothing, err := i.try(ctx, w, p, from, absent, token)
	if err == nil {
		i.compareForeign(p, "the ids", theirs, there, nothing)
	}
	return err
}

// tryOneName uses one id of another account among one's own, where several are needed.
func (i *intruder) tryOneName(ctx context.Context, w *wire, p probe, ours, theirs names, from, token string) error {
	ids := p.ids()
	if len(ids) < 2 { // tryNames has done that
		return nil
	}
	for _, name := range ids {
		there, err := i.try(ctx, w, p, from, ours.with(name, theirs[name]), token)
		if err != nil {
			return err
		}
		nothing, err := i.try(ctx, w, p, from, ours.with(name, i.absent()[name]), token)
		if err != nil {
			return err
		}
		i.compareForeign(p, "the "+name, theirs, there, nothing)
	}
	return nil
}

// compareForeign compares what is answered to ids of another account with what is
// answered to ids that are nowhere.
func (i *intruder) compareForeign(p probe, what string, theirs names, there, nothing answer) {
	if same(there, nothing) {
		return
	}
	if !there.granted() || !nothing.granted() || !sameShape(there.body, nothing.body) {
		i.violate("%s with %s of another account: %s", p, what, difference(there, nothing))
	}
	for _, name := range append(objectNames(), "token", "pin") { // what nobody else knows
		if strings.Contains(string(there.body), theirs[name]) {
			i.violate("%s shows %s of another account: %s", p, name, shorten(string(there.body)))
		}
	}
}

// objectNames are those whose values are UUIDs that the server has drawn.
func objectNames() []string {
	return []string{"transaction_id", "cursor", "hid", "delivery_id", "client_id", "grant_id"}
}

// try counts as an attack.
func (i *intruder) try(ctx context.Context, w *wire, p probe, account string, values names, token string) (answer, error) {
	i.tampered.Add(1)
	r, err := p.request(account, values)
	if err != nil {
		return answer{}, err
	}
	return i.ask(ctx, w, r.by(token).with("X-Request-Id: probe"))
}

// sameNames lets both accounts call everything alike, and one of them use all of it.
func (i *intruder) sameNames(ctx context.Context, w *wire, from, to string) error {
	cardID, customer := i.name("shared"), i.name("shared customer")
	theirs, err := i.belonging(ctx, w, to, cardID, customer)
	if err != nil {
		return err
	}
	token, err := i.mint(from, "owner")
	if err != nil {
		return err
	}
	before, err := i.stateOf(ctx, w, to)
	if err != nil {
		return err
	}
	if _, err := i.newCard(ctx, w, from, token, map[string]any{"card_id": cardID, "customer_id": customer}); err != nil {
		return err
	}
	spend, err := post(from, "/transactions", map[string]any{
		"card_id": cardID, "ref_id": theirs["ref_id"], "amount": 10_000, "currency": "NOK",
	})
	if err != nil {
		return err
	}
	spent, err := i.must(ctx, w, spend.by(token))
	if err != nil {
		return err
	}
	if spent.header.Get("Idempotency-Replayed") != "" {
		i.violate("a ref_id of another account is a replay: %s", spent.body)
	}
	removal := get(from, "/cards/"+url.PathEscape(cardID))
	removal.method = http.MethodDelete
	if _, err := i.must(ctx, w, removal.by(token)); err != nil {
		return err
	}
	i.tampered.Add(3)
	return i.unchanged(ctx, w, to, before)
}

// lockOut tries wrong PINs on a card of another account, to lock its owner out.
func (i *intruder) lockOut(ctx context.Context, w *wire, from, to string) error {
	theirs, err := i.belonging(ctx, w, to, i.name("private"), i.name("private customer"))
	if err != nil {
		return err
	}
	look := func(account, pin string) (answer, error) {
		token, err := i.mint(account, "owner")
		if err != nil {
			return answer{}, err
		}
		r, err := post(account, "/info", map[string]any{"token": theirs["token"], "pin": pin})
		if err != nil {
			return answer{}, err
		}
		return i.ask(ctx, w, r.by(token))
	}
	for range pinTries + 1 {
		i.tampered.Add(1)
		got, err := look(from, "wrong")
		if err != nil {
			return err
		}
		if got.code() != "not_found" {
			i.violate("a wrong PIN for a card of another account got %d %s", got.status, shorten(string(got.body)))
		}
	}
	got, err := look(to, theirs["pin"])
	if err == nil && got.status != http.StatusOK {
		i.violate("wrong PINs from another account lock the owner out: %d %s", got.status, shorten(string(got.body)))
	}
	return err
}

// stateOf is all that the lists of an account show.
func (i *intruder) stateOf(ctx context.Context, w *wire, owner string) (string, error) {
	token, err := i.mint(owner, "auditor")
	if err != nil {
		return "", err
	}
	var state strings.Builder
	read := func(path string) ([]byte, error) {
		got, err := i.must(ctx, w, get(owner, path).by(token))
		state.Write(got.body)
		return got.body, err
	}
	for cursor := "?include_deleted=true&limit=100"; cursor != ""; {
		text, err := read("/cards" + cursor)
		if err != nil {
			return "", err
		}
		var page struct {
			Cards []struct {
				CardID    string `json:"card_id"`
				DeletedAt string `json:"deleted_at"`
			}
			StartingAfter string `json:"starting_after"`
		}
		if err := json.Unmarshal(text, &page); err != nil {
			return "", err
		}
		for _, c := range page.Cards {
			if c.DeletedAt != "" {
				continue
			}
			for _, part := range []string{"", "/transactions"} {
				if _, err := read("/cards/" + url.PathEscape(c.CardID) + part); err != nil {
					return "", err
				}
			}
		}
		if cursor = ""; page.StartingAfter != "" {
			cursor = "?include_deleted=true&limit=100&starting_after=" + page.StartingAfter
		}
	}
	connections, err := i.connectionsOf(ctx, w, owner, token)
	return state.String() + connections, err
}

// unchanged compares an account with what it was.
func (i *intruder) unchanged(ctx context.Context, w *wire, owner, before string) error {
	after, err := i.stateOf(ctx, w, owner)
	if err == nil && after != before {
		i.violate("an account was changed from another: %d bytes of lists became %d", len(before), len(after))
	}
	return err
}

// same compares answers to the byte, but for the date.
func same(a, b answer) bool { return difference(a, b) == "" }

// difference tells how answers differ; nothing where they do not.
func difference(a, b answer) string {
	x, y := a.header.Clone(), b.header.Clone()
	x.Del("Date")
	y.Del("Date")
	if a.status == b.status && string(a.body) == string(b.body) && reflect.DeepEqual(x, y) {
		return ""
	}
	return fmt.Sprintf("%d %v %s, but %d %v %s", a.status, x, shorten(string(a.body)), b.status, y, shorten(string(b.body)))
}

// sameShape compares JSON texts by their members, not by the texts in them.
func sameShape(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(shape(x), shape(y))
}

// shape blanks the texts in a value.
func shape(value any) any {
	switch v := value.(type) {
	case map[string]any:
		blank := make(map[string]any, len(v))
		for name, member := range v {
			blank[name] = shape(member)
		}
		return blank
	case []any:
		blank := make([]any, len(v))
		for n, item := range v {
			blank[n] = shape(item)
		}
		return blank
	case string:
		return ""
	}
	return value
}
