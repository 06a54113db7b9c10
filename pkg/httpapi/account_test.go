package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/ledger"
)

// ok stands where an error code could: the operation succeeds.
const ok = "200"

// object is a JSON object.
type object = map[string]any

// account is a client of one account.
type account struct {
	s  *server
	id string
}

// call is a request as a test says it.
type call struct {
	operation string
	path      object // path parameters; aid is the account unless given
	query     string // as in the URL
	body      any    // string and []byte as they are, chunked in chunks, everything else as JSON
	token     string // access token; empty for one that opens everything, "none" for none
	header    http.Header
}

// chunked is a body that is sent without saying how long it is.
type chunked string

// on returns the call with path parameters.
func (c call) on(path object) call { c.path = path; return c }

// reply is an answer that was read whole and compared with the contract.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// object decodes the body.
func (r *reply) object(t testing.TB) object {
	t.Helper()
	var o object
	r.decode(t, &o)
	return o
}

// list decodes a body that is an array.
func (r *reply) list(t testing.TB) []object {
	t.Helper()
	var list []object
	r.decode(t, &list)
	return list
}

func (r *reply) decode(t testing.TB, target any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(r.body))
	decoder.UseNumber()
	if err := decoder.Decode(target); err != nil {
		t.Fatalf("decode %s: %v", r.body, err)
	}
}

// failure is the body of an answer that is not a 200.
type failure struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Errors  []struct {
			Pointer    string `json:"pointer"`
			Reason     string `json:"reason"`
			ExistingID string `json:"existing_id"`
		} `json:"errors"`
	} `json:"error"`
}

func (r *reply) failure(t testing.TB) failure {
	t.Helper()
	var f failure
	r.decode(t, &f)
	return f
}

// code is the error code, or ok.
func (r *reply) code(t testing.TB) string {
	t.Helper()
	if r.status == http.StatusOK {
		return ok
	}
	return r.failure(t).Error.Code
}

// pointers lists where it went wrong.
func (r *reply) pointers(t testing.TB) []string {
	t.Helper()
	var pointers []string
	for _, item := range r.failure(t).Error.Errors {
		pointers = append(pointers, item.Pointer)
	}
	return pointers
}

// do sends a call and compares the answer with the contract.
func (a *account) do(t testing.TB, c call) *reply {
	t.Helper()
	o := contractOf(t, c.operation)
	request := a.request(t, o, c)
	r := a.s.send(t, request)
	o.check(t, request, r)
	return r
}

// send sends a request and reads the answer whole.
func (s *server) send(t testing.TB, request *http.Request) *reply {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", request.Method, request.URL.Path, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: read the answer: %v", request.Method, request.URL.Path, err)
	}
	s.log.mustNotHoldValuesOf(body)
	return &reply{status: response.StatusCode, header: response.Header, body: body}
}

func (a *account) request(t testing.TB, o *operation, c call) *http.Request {
	t.Helper()
	var body io.Reader = http.NoBody
	switch b := c.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	case []byte:
		body = bytes.NewReader(b)
	case chunked:
		body = struct{ io.Reader }{strings.NewReader(string(b))} // which hides the length
	default:
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(text)
	}
	target := a.s.url + "/v1" + a.expand(o.path, c.path)
	if c.query != "" {
		target += "?" + c.query
	}
	request, err := http.NewRequestWithContext(t.Context(), o.method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	if c.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	switch c.token {
	case "none":
	case "":
		request.Header.Set("Authorization", "Bearer "+a.s.mint(t, claims(a.id)))
	default:
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	for name, values := range c.header {
		request.Header[name] = values
	}
	return request
}

// expand fills in a path of the contract.
func (a *account) expand(path string, values object) string {
	for name, value := range values {
		path = strings.ReplaceAll(path, "{"+name+"}", escape(fmt.Sprint(value)))
	}
	return strings.ReplaceAll(path, "{aid}", a.id)
}

// escape is url.PathEscape for any id: a client would take away segments of dots.
func escape(id string) string {
	if id == "." || id == ".." {
		return strings.ReplaceAll(id, ".", "%2e")
	}
	return url.PathEscape(id)
}

// want sends a call, expects a code, and returns the answer.
func (a *account) want(t testing.TB, code string, c call) *reply {
	t.Helper()
	r := a.do(t, c)
	if got := r.code(t); got != code || r.status != statusOf[code] {
		t.Fatalf("%s: got %d %s, want %s", c.operation, r.status, r.body, code)
	}
	return r
}

// must sends a call that succeeds and returns the answer's object.
func (a *account) must(t testing.TB, c call) object {
	t.Helper()
	return a.want(t, ok, c).object(t)
}

// scoped mints an access token with these scopes only.
func (a *account) scoped(t testing.TB, scopes ...string) string {
	t.Helper()
	return a.as(t, "backend", scopes...)
}

// as mints an access token of somebody.
func (a *account) as(t testing.TB, subject string, scopes ...string) string {
	t.Helper()
	c := claims(a.id)
	c.Subject, c.Scopes = subject, scopes
	return a.s.mint(t, c)
}

// till is the access token of a till, which knows tokens only.
func (a *account) till(t testing.TB) string {
	t.Helper()
	return a.scoped(t, auth.ScopeWriteTransactions, auth.ScopeWriteInfo)
}

// at moves the account's clock to a moment.
func (a *account) at(moment time.Time) { a.s.clock.moments.Store(a.id, ledger.MicrosOf(moment)) }

// later moves the account's clock on.
func (a *account) later(d time.Duration) { a.at(a.s.clock.now(a.id).Time().Add(d)) }

// with lays one object over another.
func with(base object, changes ...object) object {
	all := object{}
	for _, layer := range append([]object{base}, changes...) {
		for key, value := range layer {
			all[key] = value
		}
	}
	return all
}

// without leaves keys out.
func without(base object, keys ...string) object {
	rest := with(base)
	for _, key := range keys {
		delete(rest, key)
	}
	return rest
}

func createCard(body object) call { return call{operation: "aid_cards_post", body: body} }

func getCard(cardID any) call {
	return call{operation: "aid_cards_cardid_get", path: object{"card_id": cardID}}
}

func deleteCard(cardID any) call {
	return call{operation: "aid_cards_cardid_delete", path: object{"card_id": cardID}}
}

func createToken(cardID any, body object) call {
	return call{operation: "aid_cards_cardid_token_post", path: object{"card_id": cardID}, body: body}
}

func info(body object) call { return call{operation: "aid_cards_token_post", body: body} }

func transact(body object) call { return call{operation: "aid_cards_transactions_post", body: body} }

func capture(id any, body object) call {
	return call{
		operation: "aid_cards_cardid_transactions_capture_post", path: object{"transaction_id": id}, body: body,
	}
}

func void(id any, body object) call {
	return call{operation: "aid_cards_cardid_transactions_void_post", path: object{"transaction_id": id}, body: body}
}

func listTransactions(cardID any) call {
	return call{operation: "aid_cards_cardid_transactions_tid_get", path: object{"card_id": cardID}}
}

func listCards(query string) call { return call{operation: "aid_cards_get", query: query} }

func listCustomerCards(customer any, query string) call {
	return call{operation: "aid_customers_cid_cards_get", path: object{"customer_id": customer}, query: query}
}

func getCustomerCard(customer, cardID any) call {
	return call{
		operation: "aid_customers_cid_card_cid_get", path: object{"customer_id": customer, "card_id": cardID},
	}
}

func createBatch(body object) call { return call{operation: "aid_cards_batch_post", body: body} }

func activate(cardID any, body object) call {
	return call{operation: "aid_cards_cardid_activate_post", path: object{"card_id": cardID}, body: body}
}

func rotatePIN(cardID any, body object) call {
	return call{operation: "aid_cards_cardid_rotate_pin_post", path: object{"card_id": cardID}, body: body}
}

// money is the part of a body that is about an amount.
func money(amount int64) object { return object{"amount": amount, "currency": "NOK"} }

// newCard is the body of a card with 100.00 under a new card_id.
func (a *account) newCard(changes ...object) object {
	return with(with(money(10_000), object{"card_id": a.s.next("card")}), changes...)
}

// card creates a card with 100.00.
func (a *account) card(t testing.TB, changes ...object) object {
	t.Helper()
	return a.must(t, createCard(a.newCard(changes...)))
}

// cardWithToken creates a card with a token and returns both; the token is good for
// any number of transactions unless changed.
func (a *account) cardWithToken(t testing.TB, changes ...object) (card object, token string) {
	t.Helper()
	card = a.card(t, append([]object{{"card_token": object{"expires_after_transaction": false}}}, changes...)...)
	return card, clearToken(card)
}

// inactiveCard creates a card of a batch.
func (a *account) inactiveCard(t testing.TB, options object) object {
	t.Helper()
	body := object{"cards": []object{{"card_id": a.s.next("card")}}}
	if options != nil {
		body["options"] = options
	}
	cards := a.must(t, createBatch(body))["cards"].([]any)
	return cards[0].(object)
}

// txn is the body of a transaction on a card under a new ref_id.
func (a *account) txn(card object, amount int64, changes ...object) object {
	return with(with(money(amount), object{"ref_id": a.s.next("ref"), "card_id": card["card_id"]}), changes...)
}

// pay is the body of a transaction by token under a new ref_id.
func (a *account) pay(token string, amount int64, changes ...object) object {
	return with(with(money(amount), object{"ref_id": a.s.next("ref"), "token": token}), changes...)
}

// hold locks money on a card.
func (a *account) hold(t testing.TB, card object, amount int64) object {
	t.Helper()
	return a.must(t, transact(a.txn(card, amount, object{"pending": true})))
}

// ref is a body with nothing but a new ref_id.
func (a *account) ref(changes ...object) object {
	return with(object{"ref_id": a.s.next("ref")}, changes...)
}

// newToken is the body of a token request under a new ref_id.
func (a *account) newToken(changes ...object) object {
	return a.ref(append([]object{{"expires_in": 3600}}, changes...)...)
}

// clearToken is the value of the token that came with a card.
func clearToken(card object) string { return clearOf(card["card_token"].(object)) }

// clearOf is the value of a token that was just created.
func clearOf(token object) string { return token["token"].(object)["value"].(string) }

// clearPIN is the PIN that came with a card or a rotation.
func clearPIN(made object) string {
	return made["pin"].(object)["pin"].(object)["value"].(string)
}

// wrong is a PIN that differs from this one and has its shape.
func wrong(pin string) string {
	first := byte('0')
	if pin[0] == first {
		first = '1'
	}
	return string(first) + pin[1:]
}
