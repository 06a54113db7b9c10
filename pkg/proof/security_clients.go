package proof

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/kortwallet/kort/pkg/auth"
)

const (
	// clientChallenge is how the token endpoint asks who somebody is.
	clientChallenge = `Basic realm="kort", charset="UTF-8"`
	// secretTries is how many wrong secrets for a client id have an answer of their own
	// within a minute; each server counts for itself.
	secretTries = 10
	// rightTries is how often the client itself asks meanwhile.
	rightTries = 10
)

// apiClient is one that gets access tokens at the token endpoint.
type apiClient struct{ account, id, secret string }

// tokenEndpoint is after the access tokens of API clients.
func (i *intruder) tokenEndpoint(ctx context.Context) error {
	w := i.wire(0)
	defer w.close()
	mine, err := i.newClient(ctx, w, victim, auth.ScopeRead)
	if err != nil {
		return err
	}
	// Before the storm: client ids share counters, so what is limited is not only what was
	// tried.
	refusals, err := i.wrongClients(ctx, w, mine)
	if err != nil {
		return err
	}
	if err := i.rightClient(ctx, w, mine); err != nil {
		return err
	}
	if err := i.wider(ctx, w, mine); err != nil {
		return err
	}
	if err := i.poisonClients(ctx, w, mine); err != nil {
		return err
	}
	for server := range i.servers {
		if err := i.stormSecrets(ctx, server, mine); err != nil {
			return err
		}
	}
	i.note("%d wrong clients at the token endpoint, and storms of %d wrong secrets", refusals, stormGuesses)
	return errors.Join(i.disconnect(ctx, w, victim), i.disconnect(ctx, w, thief))
}

// newClient makes an API client, with a grant where scopes are named.
func (i *intruder) newClient(ctx context.Context, w *wire, account string, scopes ...string) (apiClient, error) {
	token, err := i.mint(account, "owner")
	if err != nil {
		return apiClient{}, err
	}
	var made struct {
		ID     string
		Secret string `json:"client_secret"`
	}
	base := accountPath(account) + "/auth"
	if err := i.perform(ctx, w, token, http.MethodPost, base+"/clients", members{"name": "backend"}, &made); err != nil {
		return apiClient{}, err
	}
	if len(scopes) > 0 {
		err = i.perform(ctx, w, token, http.MethodPost, base+"/client-grants", members{
			"client_id": made.ID, "audience": audienceOf(account), "scope": scopes,
		}, nil)
	}
	return apiClient{account, made.ID, made.Secret}, err
}

// request asks for a token in the path of an account. The answer must not repeat who asks.
func (c apiClient) request() wireRequest {
	r := tokenRequest(c.account, audienceOf(c.account), basic(c.id, c.secret))
	for _, sent := range []string{c.id, c.secret} {
		if len(sent) >= leastSecretBytes {
			r.marks = append(r.marks, sent)
		}
	}
	return r
}

// tokenRequest asks for a token with header lines of one's choice.
func tokenRequest(account, audience string, headers ...string) wireRequest {
	body, _ := json.Marshal(members{"grant_type": "client_credentials", "audience": audience}) // two texts
	return wireRequest{
		method: http.MethodPost, target: accountPath(account) + "/auth/token", body: body,
		headers: append([]string{"X-Request-Id: probe"}, headers...), challenge: clientChallenge,
	}
}

// basic is the header line of HTTP Basic.
func basic(name, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

// wrongClients asks as whoever is no client of the account. All get the answer that a
// client gets whom nobody has made, to the byte.
func (i *intruder) wrongClients(ctx context.Context, w *wire, mine apiClient) (tried int, err error) {
	all, err := i.strangers(ctx, w, mine)
	if err != nil {
		return 0, err
	}
	unknown, err := i.ask(ctx, w, apiClient{victim, i.absent()["client_id"], i.name("a wrong secret")}.request())
	if err != nil {
		return 0, err
	}
	if unknown.status != http.StatusUnauthorized || unknown.code() != "unauthorized" {
		i.violate("an unknown client got %d %s", unknown.status, shorten(string(unknown.body)))
	}
	for name, r := range all {
		i.tampered.Add(1)
		got, err := i.ask(ctx, w, r)
		if err != nil {
			return 0, err
		}
		if !same(got, unknown) {
			i.violate("%s is told from an unknown client: %s", name, difference(got, unknown))
		}
	}
	return len(all) + 1, nil
}

// strangers are requests of those who are no client of the account, by what they are. Of
// wrong secrets for one id there are fewer than are limited.
func (i *intruder) strangers(ctx context.Context, w *wire, mine apiClient) (map[string]wireRequest, error) {
	theirs, err := i.newClient(ctx, w, thief, auth.ScopeAdmin)
	if err != nil {
		return nil, err
	}
	revoked, err := i.newClient(ctx, w, victim, auth.ScopeAdmin)
	if err != nil {
		return nil, err
	}
	token, err := i.mint(victim, "owner")
	if err != nil {
		return nil, err
	}
	if err := i.perform(ctx, w, token, http.MethodDelete, accountPath(victim)+"/auth/clients/"+revoked.id, nil, nil); err != nil {
		return nil, err
	}
	all := map[string]wireRequest{
		"a revoked client": revoked.request(), "a revoked client with a wrong secret": apiClient{victim, revoked.id, mine.secret}.request(),
		"a client of another account":                     apiClient{victim, theirs.id, theirs.secret}.request(),
		"a client in another account":                     apiClient{thief, mine.id, mine.secret}.request(),
		"a client in an account that is nowhere":          apiClient{nowhere, mine.id, mine.secret}.request(),
		"a client with the secret of another account":     apiClient{victim, mine.id, theirs.secret}.request(),
		"an unknown client with the secret of a real one": apiClient{victim, i.absent()["client_id"], mine.secret}.request(),
		"nobody":       tokenRequest(victim, audienceOf(victim)),
		"a token":      tokenRequest(victim, audienceOf(victim), "Authorization: Bearer "+token),
		"no text":      tokenRequest(victim, audienceOf(victim), "Authorization: Basic"),
		"no base64":    tokenRequest(victim, audienceOf(victim), "Authorization: Basic !!!"),
		"no colon":     tokenRequest(victim, audienceOf(victim), "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(mine.id))),
		"two clients":  tokenRequest(victim, audienceOf(victim), basic(mine.id, mine.secret), basic(mine.id, mine.secret)),
		"another word": tokenRequest(victim, audienceOf(victim), strings.Replace(basic(mine.id, mine.secret), "Basic", "Digest", 1)),
	}
	for _, secret := range []string{"", mine.secret + "x", mine.secret[:len(mine.secret)-1], " " + mine.secret, mine.secret + "\x00", mine.id} {
		all["a client with the secret "+secret] = apiClient{victim, mine.id, secret}.request()
	}
	for _, id := range []string{"", "x", strings.ToUpper(mine.id), "{" + mine.id + "}", "urn:uuid:" + mine.id, strings.ReplaceAll(mine.id, "-", ""), " " + mine.id} {
		all["a client called "+id] = apiClient{victim, id, mine.secret}.request()
	}
	return all, nil
}

// rightClient gets a token and looks at what it opens: what was granted, in the account,
// and nothing else.
func (i *intruder) rightClient(ctx context.Context, w *wire, mine apiClient) error {
	got, err := i.must(ctx, w, mine.request())
	if err != nil {
		return err
	}
	var answered struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(got.body, &answered); err != nil {
		return err
	}
	if _, err := i.must(ctx, w, get(victim, "/cards").by(answered.Token)); err != nil {
		return err
	}
	for _, o := range i.operations {
		p := o.probes()[0]
		mayRead := strings.Contains(o.path, "/wallets/") && o.method == http.MethodGet
		for account, forbidden := range map[string]bool{victim: !mayRead, thief: true} {
			got, err := i.try(ctx, w, p, account, i.absent(), answered.Token)
			if err != nil {
				return err
			}
			if forbidden && (got.status != http.StatusForbidden || got.code() != "forbidden") {
				i.violate("%s in %s with a token of a client of %s that may read: %d %s", p, account, victim, got.status, shorten(string(got.body)))
			}
		}
	}
	return nil
}

// wider asks for more than was granted: other accounts, and scopes that nobody may grant.
func (i *intruder) wider(ctx context.Context, w *wire, mine apiClient) error {
	idle, err := i.newClient(ctx, w, victim)
	if err != nil {
		return err
	}
	token, err := i.mint(victim, "owner")
	if err != nil {
		return err
	}
	refused := func(want int, what string, r wireRequest) error {
		i.tampered.Add(1)
		got, err := i.ask(ctx, w, r)
		if err == nil && got.status != want {
			i.violate("%s got %d %s, want %d", what, got.status, shorten(string(got.body)), want)
		}
		return err
	}
	if err := refused(http.StatusForbidden, "a client without a grant", idle.request()); err != nil {
		return err
	}
	for other, want := range map[string]int{
		audienceOf(thief): http.StatusForbidden, audienceOf(nowhere): http.StatusForbidden, issuer + accountPath(victim): http.StatusBadRequest,
		audienceOf(victim) + "/": http.StatusBadRequest, audience: http.StatusBadRequest, audienceOf(victim) + " " + audienceOf(thief): http.StatusBadRequest,
	} {
		if err := refused(want, "the audience "+other, tokenRequest(victim, other, basic(mine.id, mine.secret))); err != nil {
			return err
		}
	}
	for _, scope := range []string{
		auth.ScopeAccounts, auth.ScopeAdminHooks, auth.ScopeWriteHooks, auth.ScopeReadHooks, "*", "", auth.ScopeRead + " " + auth.ScopeAccounts,
	} {
		body, err := json.Marshal(members{"client_id": idle.id, "audience": audienceOf(victim), "scope": []string{auth.ScopeRead, scope}})
		if err != nil {
			return err
		}
		r := wireRequest{method: http.MethodPost, target: accountPath(victim) + "/auth/client-grants", body: body}
		if err := refused(http.StatusBadRequest, "the grant of "+scope, r.by(token)); err != nil {
			return err
		}
	}
	return refused(http.StatusForbidden, "a client whose grants were refused", idle.request())
}

// poisonClients injects into who asks for a token, and into what is asked for.
func (i *intruder) poisonClients(ctx context.Context, w *wire, mine apiClient) error {
	inject := func(r wireRequest, wants ...int) error {
		i.tampered.Add(1)
		r.marks, r.wild = []string{mark}, true // some are longer than a header may be
		got, err := i.ask(ctx, w, r)
		if err == nil && !slices.Contains(wants, got.status) && got.status != 0 && !got.fromEdge() {
			i.violate("an injection at the token endpoint got %d %s, want %d", got.status, shorten(string(got.body)), wants)
		}
		return err
	}
	for _, p := range poisons() {
		// Several poisons are the same text, which is limited like any other.
		if err := inject(apiClient{victim, p.text, p.text}.request(), http.StatusUnauthorized, http.StatusTooManyRequests); err != nil {
			return err
		}
		r := tokenRequest(victim, "", basic(mine.id, mine.secret))
		r.body = []byte(`{"grant_type":"client_credentials","audience":` + p.literal + `}`)
		if err := inject(r, http.StatusBadRequest); err != nil {
			return err
		}
	}
	return nil
}

// stormSecrets guesses secrets at a server, of a client that there is and of one that
// there is not. That is limited alike; and a client with its own secret always gets in.
func (i *intruder) stormSecrets(ctx context.Context, server int, mine apiClient) error {
	unknown := apiClient{victim, i.absent()["client_id"], ""}
	for name, target := range map[string]apiClient{"a client": mine, "an unknown client": unknown} {
		compared, err := i.guessSecrets(ctx, server, target)
		if err != nil {
			return err
		}
		if compared < 1 || compared > secretTries {
			i.violate("of %d wrong secrets of %s %d were compared, want 1 to %d", stormGuesses, name, compared, secretTries)
		}
		w := i.wire(server)
		_, err = i.must(ctx, w, mine.request())
		w.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// guessSecrets guesses on many connections at once, beside the client itself where it
// has a secret, and counts the guesses that were not refused for their number.
func (i *intruder) guessSecrets(ctx context.Context, server int, target apiClient) (compared int, err error) {
	var mu sync.Mutex
	var guessers sync.WaitGroup
	failures := make([]error, stormWires+1)
	guess := func(w *wire) error {
		i.tampered.Add(1)
		got, err := i.ask(ctx, w, apiClient{target.account, target.id, i.name("a wrong secret")}.request())
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case got.status == http.StatusUnauthorized && got.code() == "unauthorized":
			compared++
		case got.status != http.StatusTooManyRequests || got.code() != "rate_limited" || got.retryAfter() > 60:
			i.violate("a wrong secret got %d %v %s", got.status, got.header, shorten(string(got.body)))
		}
		return nil
	}
	work := func(n, times int, ask func(*wire) error) {
		guessers.Go(func() {
			w := i.wire(server)
			defer w.close()
			for range times {
				if failures[n] = ask(w); failures[n] != nil {
					return
				}
			}
		})
	}
	for n := range stormWires {
		work(n, stormGuesses/stormWires, guess)
	}
	if target.secret != "" {
		work(stormWires, rightTries, func(w *wire) error {
			_, err := i.must(ctx, w, target.request())
			return err
		})
	}
	guessers.Wait()
	return compared, errors.Join(failures...)
}
