package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/kortwallet/kort/openapi"
	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/hooks"
	"github.com/kortwallet/kort/pkg/httpapi"
)

// hooked is a server with webhooks, and an account on it.
type hooked struct {
	*account
	received chan []byte
	receiver *httptest.Server
}

// eachHooked runs a test on each engine. Receivers may be anywhere if loose.
func eachHooked(t *testing.T, loose bool, test func(t *testing.T, h *hooked)) {
	t.Helper()
	each(t, func(t *testing.T, s *server) {
		t.Helper()
		dispatcher := hooks.Start(s.database.Store, hooks.Options{
			Targets: hooks.Targets{HTTP: loose, Private: loose}, Keys: s.config.DataKeys, Log: s.config.Log, Poll: 10 * time.Millisecond,
			Attempts: 1,
		})
		t.Cleanup(func() {
			if err := dispatcher.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		v := s.variant(t, func(c *httpapi.Config) { c.Hooks = dispatcher })
		h := &hooked{account: v.account(), received: make(chan []byte, 100)}
		h.receiver = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil || strings.Contains(r.URL.Path, "bad") {
				w.WriteHeader(http.StatusTeapot)
			}
			h.received <- body
			_, _ = io.WriteString(w, "thank you") // to itself
		}))
		t.Cleanup(h.receiver.Close)
		test(t, h)
	})
}

// ask sends a request under the subscriptions of the account, with a token of the scopes.
func (h *hooked) ask(t testing.TB, method, path string, body any, scopes ...string) *reply {
	t.Helper()
	var text string
	switch body := body.(type) {
	case nil:
	case string:
		text = body
	default:
		encoded, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(encoded)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, h.s.url+"/v1/accounts/"+h.id+"/hooks/subscriptions"+path, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if len(scopes) == 0 {
		scopes = []string{auth.ScopeAdminHooks}
	}
	if scopes[0] != "none" {
		request.Header.Set("Authorization", "Bearer "+h.scoped(t, scopes...))
	}
	return h.s.send(t, request)
}

func (h *hooked) subscribe(t testing.TB, changes ...object) object {
	t.Helper()
	body := with(object{"config": object{"url": h.receiver.URL}, "events": []string{"wallet_transaction", "wallet_card"}}, changes...)
	r := h.ask(t, "POST", "", body)
	if r.status != http.StatusOK {
		t.Fatalf("subscribe: %d %s", r.status, r.body)
	}
	made := r.object(t)
	h.s.log.mustNotHold(made["config"].(object)["secret"].(string))
	return made
}

// settled waits until a delivery is in a state.
func (h *hooked) settled(t testing.TB, path, state string) object {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		r := h.ask(t, "GET", path, nil, auth.ScopeReadHooks)
		if r.status == http.StatusOK && r.object(t)["state"] == state {
			return r.object(t)
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %d %s, want %s", path, r.status, r.body, state)
		}
	}
}

// A subscription is made, heard of, listed, pinged and removed.
func TestSubscriptionLife(t *testing.T) {
	eachHooked(t, true, func(t *testing.T, h *hooked) {
		made := h.subscribe(t)
		id := made["id"].(string)
		secret := made["config"].(object)["secret"].(string)
		if !strings.HasPrefix(secret, "whsec_") || made["active"] != true || made["created_by"] != "backend" {
			t.Errorf("made: %v", made)
		}
		card := h.card(t, money(700))
		if got := h.must(t, transact(h.txn(card, 100))); got["type"] != "drawdown" {
			t.Errorf("drawn: %v", got)
		}
		events := map[string]int{}
		for range 4 { // ping, created, opening, drawdown
			select {
			case body := <-h.received:
				events[checkEvent(t, body)]++
			case <-time.After(20 * time.Second):
				t.Fatalf("received only %v", events)
			}
		}
		if fmt.Sprint(events) != "map[ping:1 wallet_card:1 wallet_transaction:2]" {
			t.Errorf("received %v", events)
		}

		list := h.ask(t, "GET", "", nil, auth.ScopeReadHooks).object(t)["subscriptions"].([]any)
		shown := h.ask(t, "GET", "/"+id, nil, auth.ScopeReadHooks)
		if len(list) != 1 || list[0].(object)["id"] != id || shown.object(t)["id"] != id {
			t.Errorf("listed: %v; shown: %s", list, shown.body)
		}
		for _, text := range []string{fmt.Sprint(list), string(shown.body)} {
			if strings.Contains(text, "secret") || strings.Contains(text, secret) {
				t.Errorf("a later answer has the secret: %s", text)
			}
		}
		if r := h.ask(t, "POST", "/"+id+"/ping", nil, auth.ScopeWriteHooks); r.status != http.StatusNoContent {
			t.Errorf("ping: %d %s", r.status, r.body)
		}
		if event := checkEvent(t, <-h.received); event != "ping" {
			t.Errorf("the ping is a %s", event)
		}
		if r := h.ask(t, "DELETE", "/"+id, nil, auth.ScopeWriteHooks); r.status != http.StatusNoContent {
			t.Errorf("delete: %d %s", r.status, r.body)
		}
		for _, again := range [][2]string{{"GET", ""}, {"DELETE", ""}, {"POST", "/ping"}, {"GET", "/deliveries"}} {
			if r := h.ask(t, again[0], "/"+id+again[1], nil); r.code(t) != "not_found" {
				t.Errorf("%s%s after the deletion: %s", again[0], again[1], r.body)
			}
		}
		h.must(t, transact(h.txn(card, 1)))
		raw := h.s.database.Raw(t)
		for _, table := range []string{"hook_subscriptions", "hook_deliveries"} {
			for _, row := range raw.Rows(t, "SELECT * FROM "+table) {
				if strings.Contains(fmt.Sprint(row), secret) {
					t.Errorf("%s has the secret in clear", table)
				}
			}
		}
	})
}

// checkEvent compares a body with the contract, and names its event.
func checkEvent(t testing.TB, body []byte) string {
	t.Helper()
	spec, err := openapi3.NewLoader().LoadFromData(openapi.HooksYAML)
	if err != nil {
		t.Fatal(err)
	}
	var value object
	if err := json.Unmarshal(body, &value); err != nil {
		t.Fatal(err)
	}
	if err := spec.Components.Schemas["Event"].Value.VisitJSON(value); err != nil {
		t.Errorf("the event is not as the contract says: %v", err)
	}
	event := value["event"].(string)
	for part, of := range map[string]string{"transaction": "wallet_transaction", "card": "wallet_card", "change": "wallet_card", "subscription": "ping"} {
		if _, has := value[part]; has != (of == event) {
			t.Errorf("%s has %s: %t", event, part, has)
		}
	}
	return event
}

// Deliveries are listed page by page, shown in full, and sent again.
func TestDeliveryLog(t *testing.T) {
	eachHooked(t, true, func(t *testing.T, h *hooked) {
		bad := h.subscribe(t, object{"config": object{"url": h.receiver.URL + "/bad?token=t", "secret": "sixteen-letters!"}, "events": []string{"wallet_transaction"}})
		path := "/" + bad["id"].(string) + "/deliveries"
		card := h.card(t, money(700))
		ids := []string{h.do(t, listTransactions(card["card_id"])).list(t)[0]["id"].(string)}
		for range 3 {
			ids = append(ids, h.must(t, transact(h.txn(card, 1)))["id"].(string))
		}
		for _, id := range ids {
			dead := h.settled(t, path+"/"+id, "dead")
			details := dead["details"].(object)
			var sent object
			if err := json.Unmarshal([]byte(dead["request"].(object)["body"].(string)), &sent); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprintf("%v %v %v %v %v", dead["status"], dead["attempts"], dead["event"], details["delivery_success"], dead["response"].(object)["body"]) !=
				"418 1 wallet_transaction false thank you" || sent["event_delivery"] != id || dead["url"] != h.receiver.URL+"/bad?token=t" {
				t.Errorf("the delivery is %v", dead)
			}
		}
		var listed []string
		for after, pages := "", 0; pages < 10; pages++ {
			page := h.ask(t, "GET", path+"?limit=2"+after, nil, auth.ScopeReadHooks).object(t)
			for _, d := range page["deliveries"].([]any) {
				listed = append(listed, d.(object)["id"].(string))
			}
			next, more := page["starting_after"].(string)
			if !more {
				break
			}
			after = "&starting_after=" + next
		}
		slices.Reverse(ids)
		if len(listed) != 5 || !slices.Equal(listed[:4], ids) {
			t.Errorf("listed %v, want %v and the ping", listed, ids)
		}
		before := len(h.received)
		if r := h.ask(t, "POST", path+"/"+ids[0]+"/redeliver", nil, auth.ScopeWriteHooks); r.status != http.StatusNoContent {
			t.Errorf("redeliver: %d %s", r.status, r.body)
		}
		h.settled(t, path+"/"+ids[0], "dead")
		if n := len(h.received); n != before+1 {
			t.Errorf("sent %d times more, want once", n-before)
		}
		for name, query := range map[string]string{
			"a cursor of nothing": "?starting_after=" + bad["id"].(string), "no cursor": "?starting_after=x", "no limit": "?limit=0", "an empty limit": "?limit=",
		} {
			if r := h.ask(t, "GET", path+query, nil); r.code(t) != "invalid_request" {
				t.Errorf("%s: %s", name, r.body)
			}
		}
		other := h.subscribe(t)["id"].(string)
		for _, missing := range [][2]string{{"GET", ""}, {"POST", "/redeliver"}} {
			if r := h.ask(t, missing[0], "/"+other+"/deliveries/"+ids[0]+missing[1], nil); r.code(t) != "not_found" {
				t.Errorf("another subscription's delivery: %s", r.body)
			}
		}
	})
}

// Each operation is open to its scopes and to no other.
func TestHookScopes(t *testing.T) {
	eachHooked(t, true, func(t *testing.T, h *hooked) {
		const nowhere = "/019a2b60-1111-7222-8333-444455556666"
		read, write := auth.ScopeReadHooks, auth.ScopeWriteHooks
		for _, test := range []struct{ method, path, scope string }{
			{"GET", "", read},
			{"POST", "", write},
			{"GET", nowhere, read},
			{"DELETE", nowhere, write},
			{"POST", nowhere + "/ping", write},
			{"GET", nowhere + "/deliveries", read},
			{"GET", nowhere + "/deliveries" + nowhere, read},
			{"POST", nowhere + "/deliveries" + nowhere + "/redeliver", write},
		} {
			for _, scope := range append(auth.Scopes(), "none") {
				r := h.ask(t, test.method, test.path, "{}", scope)
				code := "forbidden"
				if scope == "none" {
					code = "unauthorized"
				}
				open := scope == test.scope || scope == auth.ScopeAdminHooks
				if got := r.code(t); open == (got == code) || !open && got != code || r.status >= 500 {
					t.Errorf("%s %s with %s: %d %s", test.method, test.path, scope, r.status, r.body)
				}
			}
		}
		// A token for another account opens nothing here.
		stranger := &hooked{account: h.s.account()}
		token := stranger.scoped(t, auth.ScopeAdminHooks)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.s.url+"/v1/accounts/"+h.id+"/hooks/subscriptions", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		if r := h.s.send(t, request); r.code(t) != "forbidden" {
			t.Errorf("another account: %s", r.body)
		}
	})
}

// What is wrong with a request is said, and never what was sent.
func TestBadSubscriptions(t *testing.T) {
	eachHooked(t, false, func(t *testing.T, h *hooked) {
		config := func(changes ...object) object {
			return object{"config": with(object{"url": "https://shop.example/SENTINEL"}, changes...), "events": []string{"wallet_card"}}
		}
		good := config()
		for name, test := range map[string]struct {
			body    any
			pointer string
		}{
			"nothing":             {"{}", "/config"},
			"no JSON":             {"{", ""},
			"no config":           {without(good, "config"), "/config"},
			"no events":           {without(good, "events"), "/events"},
			"no event":            {with(good, object{"events": []string{}}), "/events"},
			"an unknown event":    {with(good, object{"events": []string{"SENTINEL"}}), "/events/0"},
			"a ping":              {with(good, object{"events": []string{"ping"}}), "/events/0"},
			"no list":             {with(good, object{"events": "wallet_card"}), "/events"},
			"fields":              {with(good, object{"fields": []string{"SENTINEL"}}), "/fields"},
			"excluded fields":     {with(good, object{"exclude_fields": []string{}}), "/exclude_fields"},
			"active as a text":    {with(good, object{"active": "yes"}), "/active"},
			"no URL":              {config(object{"url": nil}), "/config/url"},
			"an empty URL":        {config(object{"url": ""}), "/config/url"},
			"http":                {config(object{"url": "http://shop.example/SENTINEL"}), "/config/url"},
			"this machine":        {config(object{"url": "https://127.0.0.1/SENTINEL"}), "/config/url"},
			"a cloud's secrets":   {config(object{"url": "https://169.254.169.254/SENTINEL"}), "/config/url"},
			"a decimal address":   {config(object{"url": "https://2130706433/SENTINEL"}), "/config/url"},
			"a password":          {config(object{"url": "https://u:SENTINEL@shop.example/"}), "/config/url"},
			"a control character": {config(object{"url": "https://shop.example/\u0000"}), "/config/url"},
			"a long URL":          {config(object{"url": "https://shop.example/" + strings.Repeat("x", 2100)}), "/config/url"},
			"another form":        {config(object{"content_type": "application/xml"}), "/config/content_type"},
			"no certificates":     {config(object{"insecure_ssl": 1}), "/config/insecure_ssl"},
			"a strange number":    {config(object{"insecure_ssl": 2}), "/config/insecure_ssl"},
			"a short secret":      {config(object{"secret": "SENTINEL"}), "/config/secret"},
			"a long secret":       {config(object{"secret": strings.Repeat("SENTINEL", 40)}), "/config/secret"},
			"a secret with space": {config(object{"secret": "SENTINEL SENTINEL"}), "/config/secret"},
			"no base64":           {config(object{"secret": "whsec_SENTINEL-SENTINEL"}), "/config/secret"},
			"a short key":         {config(object{"secret": "whsec_U0VOVElORUw="}), "/config/secret"},
			"null":                {with(good, object{"active": nil}), "/active"},
			"a key in capitals":   {`{"CONFIG":{"url":"https://shop.example/"},"events":["wallet_card"]}`, ""},
		} {
			r := h.ask(t, "POST", "", test.body)
			if r.code(t) != "invalid_request" || test.pointer != "" && !slices.Contains(r.pointers(t), test.pointer) || strings.Contains(string(r.body), "SENTINEL") {
				t.Errorf("%s: %d %s, want 400 at %s", name, r.status, r.body, test.pointer)
			}
		}
		for name, path := range map[string]string{"no id": "/x", "an id and more": "/019a2b60-1111-7222-8333-4444555566667", "no id of a delivery": "/019a2b60-1111-7222-8333-444455556666/deliveries/%00"} {
			if r := h.ask(t, "GET", path, nil); r.code(t) != "invalid_request" {
				t.Errorf("%s: %d %s", name, r.status, r.body)
			}
		}
		if r := h.ask(t, "PUT", "", "{}"); r.code(t) != "method_not_allowed" {
			t.Errorf("PUT: %s", r.body)
		}
		if n := h.s.database.Raw(t).Number(t, "SELECT count(*) FROM hook_subscriptions"); n != 0 {
			t.Errorf("%d subscriptions were made", n)
		}
		// What is right is taken, up to a limit.
		secret := "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0IQ=="
		for range 20 {
			made := h.subscribe(t, config(object{"secret": secret, "content_type": "application/json", "insecure_ssl": 0, "later": "unknown"}), object{"active": false})
			if made["active"] != false || made["config"].(object)["secret"] != secret || fmt.Sprint(made["events"]) != "[wallet_card]" {
				t.Errorf("made: %v", made)
			}
		}
		if r := h.ask(t, "POST", "", good); r.status != http.StatusConflict || r.code(t) != "too_many_subscriptions" {
			t.Errorf("one too many: %s", r.body)
		}
	})
}

// A database that was read by somebody without the data key gives no secret away, and the
// sealed one is of no use to another subscription.
func TestSecretsAreSealed(t *testing.T) {
	eachHooked(t, true, func(t *testing.T, h *hooked) {
		h.subscribe(t)
		row := h.s.database.Raw(t).Rows(t, "SELECT id, secret, secret_key_id FROM hook_subscriptions")[0]
		key, known := h.s.config.DataKeys.Key(row[2])
		if !known {
			t.Fatalf("the key %s is unknown", row[2])
		}
		if _, err := key.Open(cardcode.Hook, h.id, row[0], row[1]); err != nil {
			t.Error(err)
		}
		if _, err := key.Open(cardcode.Hook, "T99999999", row[0], row[1]); err == nil {
			t.Error("it opens for another account")
		}
	})
}
