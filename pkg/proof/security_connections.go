package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
)

// deliveryTimeout is how long the deliveries to a receiver that is quick may take.
const deliveryTimeout = 30 * time.Second

// connections are what connects other systems to an account: a subscription, a delivery
// of it, an API client and its grant. An account can have only so many, so a round makes
// one of each. A subscription that is not active hears of nothing but pings.
func (i *intruder) connections(ctx context.Context, w *wire, owner string, active bool) (names, error) {
	token, err := i.mint(owner, "owner")
	if err != nil {
		return nil, err
	}
	base := accountPath(owner)
	var hook, client, grant struct{ ID string }
	err = i.perform(ctx, w, token, http.MethodPost, base+"/hooks/subscriptions", members{
		"active": active, "config": members{"url": i.receiver.url() + "/" + owner}, "events": []string{"wallet_transaction", "wallet_card"},
	}, &hook)
	if err != nil {
		return nil, err
	}
	deliveries, err := i.deliveries(ctx, w, token, base+"/hooks/subscriptions/"+hook.ID)
	if err != nil {
		return nil, err
	}
	if len(deliveries) == 0 {
		return nil, errors.New("a new subscription has no delivery")
	}
	if err := i.perform(ctx, w, token, http.MethodPost, base+"/auth/clients", members{"name": "till"}, &client); err != nil {
		return nil, err
	}
	err = i.perform(ctx, w, token, http.MethodPost, base+"/auth/client-grants", members{
		"client_id": client.ID, "audience": audienceOf(owner), "scope": []string{auth.ScopeRead},
	}, &grant)
	return names{"hid": hook.ID, "delivery_id": deliveries[0].ID, "client_id": client.ID, "grant_id": grant.ID}, err
}

// disconnect ends all connections of an account.
func (i *intruder) disconnect(ctx context.Context, w *wire, owner string) error {
	token, err := i.mint(owner, "owner")
	if err != nil {
		return err
	}
	var hooks struct{ Subscriptions []struct{ ID string } }
	path := accountPath(owner) + "/hooks/subscriptions"
	if err := i.perform(ctx, w, token, http.MethodGet, path, nil, &hooks); err != nil {
		return err
	}
	for _, hook := range hooks.Subscriptions {
		if err := i.perform(ctx, w, token, http.MethodDelete, path+"/"+hook.ID, nil, nil); err != nil {
			return err
		}
	}
	var clients []struct{ ID string }
	path = accountPath(owner) + "/auth/clients"
	if err := i.perform(ctx, w, token, http.MethodGet, path, nil, &clients); err != nil {
		return err
	}
	for _, client := range clients {
		if err := i.perform(ctx, w, token, http.MethodDelete, path+"/"+client.ID, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// delivery is one as a list shows it.
type delivery struct{ ID, State string }

// deliveries are those to a subscription, once all of them were sent: until then they
// change by themselves.
func (i *intruder) deliveries(ctx context.Context, w *wire, token, subscription string) ([]delivery, error) {
	for begun := time.Now(); ; {
		var list struct{ Deliveries []delivery }
		if err := i.perform(ctx, w, token, http.MethodGet, subscription+"/deliveries?limit=100", nil, &list); err != nil {
			return nil, err
		}
		pending := 0
		for _, d := range list.Deliveries {
			if d.State == "pending" {
				pending++
			}
		}
		if pending == 0 {
			return list.Deliveries, nil
		}
		if time.Since(begun) > deliveryTimeout {
			return nil, fmt.Errorf("%d deliveries were not sent within %s", pending, deliveryTimeout)
		}
		if err := pause(ctx, askAgain); err != nil {
			return nil, err
		}
	}
}

// connectionsOf is all that the lists of an account show of its connections.
func (i *intruder) connectionsOf(ctx context.Context, w *wire, owner, token string) (string, error) {
	var state strings.Builder
	read := func(path string, into any) error {
		var text json.RawMessage
		if err := i.perform(ctx, w, token, http.MethodGet, accountPath(owner)+path, nil, &text); err != nil {
			return err
		}
		state.Write(text)
		return json.Unmarshal(text, into)
	}
	var anything any
	for _, path := range []string{"/auth/clients", "/auth/client-grants"} {
		if err := read(path, &anything); err != nil {
			return "", err
		}
	}
	var hooks struct{ Subscriptions []struct{ ID string } }
	if err := read("/hooks/subscriptions", &hooks); err != nil {
		return "", err
	}
	for _, hook := range hooks.Subscriptions {
		path := "/hooks/subscriptions/" + hook.ID
		deliveries, err := i.deliveries(ctx, w, token, accountPath(owner)+path)
		if err != nil {
			return "", err
		}
		for _, d := range deliveries {
			if err := read(path+"/deliveries/"+d.ID, &anything); err != nil {
				return "", err
			}
		}
	}
	return state.String(), nil
}

// perform asks for something that has to be granted, and reads the answer into a value;
// nil leaves it.
func (i *intruder) perform(ctx context.Context, w *wire, token, method, path string, body, into any) error {
	r := wireRequest{method: method, target: path}
	if body != nil {
		var err error
		if r.body, err = json.Marshal(body); err != nil {
			return err
		}
	}
	got, err := i.must(ctx, w, r.by(token))
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal(got.body, into)
}

// accountPath is where everything of an account is.
func accountPath(account string) string { return "/v1/accounts/" + account }
