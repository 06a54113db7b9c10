package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

const (
	// firstAccount is the number of the account that nearly all cards belong to. The
	// database is a new one.
	firstAccount = 10_000_000
	account      = "T10000000"
	// openingAmount is what each card has, in øre: more than any benchmark can draw.
	openingAmount = 1_000_000_000_000
	currency      = "NOK"
)

// Account names the nth account of a benchmark; the cards are in number 0.
func Account(n int) string { return "T" + strconv.Itoa(firstAccount+n) }

// card is a card as a till knows it.
type card struct {
	id    string
	token string // clear value, good for any number of transactions
}

// till is one client: a connection, a token of its own, and the requests it sends
// one after the other.
type till struct {
	connection *connection
	cards      []card // of all tills
	random     *rand.Rand
	number     int

	at       *endpoint  // where requests go
	accounts []endpoint // further accounts, of all tills
	request  []byte
	body     []byte

	refs         int64 // drawn so far
	acknowledged int64 // transactions
	latencies    []time.Duration
	refusals     []time.Duration // latencies of answers that were refusals and may be
	deadline     time.Time       // of such a window
	late         int             // transactions that were acknowledged after it
	failed       int
	failure      error // the first
	answered     func()
}

// endpoint is everything that is the same in all requests for an account.
type endpoint struct {
	prefix  string // of the path
	headers string // from the end of the path to the value of Content-Length
}

func newEndpoint(host, account, token string) endpoint {
	return endpoint{
		prefix:  "/v1/accounts/" + account + "/wallets",
		headers: " HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/json\r\nContent-Length: ",
	}
}

// newTill makes a till whose requests are for the account with all the cards.
func newTill(number int, c *connection, host, token string, cards []card, answered func()) *till {
	at := newEndpoint(host, account, token)
	return &till{
		connection: c, cards: cards, number: number, answered: answered, at: &at,
		// The same cards in the same order each time. Nobody has to guess them.
		random: rand.New(rand.NewPCG(1, uint64(number))), //nolint:gosec // see above; and numbers count from 0
	}
}

// refusal is an answer other than 200.
type refusal struct {
	status int
	code   string // of the error
}

// Error names status and code.
func (r *refusal) Error() string { return fmt.Sprintf("answer %d %s", r.status, r.code) }

// errOtherCard is an answer about something else than what was asked for.
var errOtherCard = errors.New("the answer is about another card")

// call sends a request and notes how long the answer took. The answer is valid until
// the next call.
func (t *till) call(method, path string, body []byte) ([]byte, error) {
	t.request = append(t.request[:0], method...)
	t.request = append(t.request, ' ')
	t.request = append(t.request, t.at.prefix...)
	t.request = append(t.request, path...)
	t.request = append(t.request, t.at.headers...)
	t.request = strconv.AppendInt(t.request, int64(len(body)), 10)
	t.request = append(t.request, "\r\n\r\n"...)
	t.request = append(t.request, body...)

	start := time.Now()
	status, answer, err := t.connection.exchange(t.request)
	if err != nil {
		return nil, err
	}
	t.latencies = append(t.latencies, time.Since(start))
	t.answered()
	if status != http.StatusOK {
		return nil, refusalOf(status, answer)
	}
	return answer, nil
}

// refusalOf reads the code of an error, where there is one.
func refusalOf(status int, answer []byte) *refusal {
	var body struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if err := json.Unmarshal(answer, &body); err != nil {
		body.Error.Code = "without a readable error"
	}
	return &refusal{status: status, code: body.Error.Code}
}

// createCard creates a card with a token and an opening transaction.
func (t *till) createCard(into *card) error {
	t.body = fmt.Appendf(t.body[:0],
		`{"card_id":%q,"type":"gift_card","amount":%d,"currency":%q,"card_token":{"expires_after_transaction":false}}`,
		into.id, int64(openingAmount), currency)
	answer, err := t.call(http.MethodPost, "/cards", t.body)
	if err != nil {
		return err
	}
	var created struct {
		CardToken struct {
			Token struct {
				Value string `json:"value"`
			} `json:"token"`
		} `json:"card_token"`
	}
	if err := json.Unmarshal(answer, &created); err != nil {
		return fmt.Errorf("read a new card: %w", err)
	}
	into.token = created.CardToken.Token.Value
	t.acknowledged++
	return nil
}

// drawdown takes a little off a card named by card_id.
func (t *till) drawdown(c card) error {
	t.startBody()
	t.body = append(t.body, `,"card_id":"`...)
	t.body = append(t.body, c.id...)
	t.body = append(t.body, `"}`...)
	_, err := t.transact("/transactions")
	return err
}

// drawdownElsewhere takes a little off a card of another account: card_ids are the
// account's own, so that the first few cards exist in each.
func (t *till) drawdownElsewhere(cards int) error {
	home := t.at
	defer func() { t.at = home }()
	t.at = &t.accounts[t.random.IntN(len(t.accounts))]
	return t.drawdown(t.cards[t.random.IntN(cards)])
}

// post sends a transaction with all its fields, to a server that makes none of it.
func (t *till) post() error {
	t.startBody()
	t.body = append(t.body, `,"card_id":"card-0000001","pending":false,"originated_by":"Oslo City, till 7",`+
		`"metadata":{"order":"2026-118-4711","cashier":"anna"}}`...)
	_, err := t.call(http.MethodPost, "/transactions", t.body)
	return err
}

// pay looks a card up by its token, holds an amount on it and takes it off: what a
// web shop does for an order.
func (t *till) pay(c card) error {
	t.body = append(t.body[:0], `{"token":"`...)
	t.body = append(t.body, c.token...)
	t.body = append(t.body, `"}`...)
	if err := t.about(c)(t.call(http.MethodPost, "/info", t.body)); err != nil {
		return err
	}
	t.startBody()
	t.body = append(t.body, `,"pending":true,"token":"`...)
	t.body = append(t.body, c.token...)
	t.body = append(t.body, `"}`...)
	answer, err := t.transact("/transactions")
	if err != nil {
		return err
	}
	var hold struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(answer, &hold); err != nil {
		return fmt.Errorf("read a pending transaction: %w", err)
	}
	t.body = append(t.body[:0], `{"ref_id":"`...)
	t.appendRef()
	t.body = append(t.body, `"}`...)
	_, err = t.transact("/transactions/" + hold.ID + "/capture")
	return err
}

// lookUp reads a card.
func (t *till) lookUp(c card) error {
	return t.about(c)(t.call(http.MethodGet, "/cards/"+c.id, nil))
}

// about makes sure that an answer is about a card.
func (t *till) about(c card) func(answer []byte, err error) error {
	return func(answer []byte, err error) error {
		if err == nil && !bytes.Contains(answer, []byte(c.id)) {
			return errOtherCard
		}
		return err
	}
}

// startBody begins a transaction under a new ref_id.
func (t *till) startBody() {
	t.body = append(t.body[:0], `{"type":"drawdown","amount":1,"currency":"`+currency+`","ref_id":"`...)
	t.appendRef()
	t.body = append(t.body, '"')
}

// appendRef appends a ref_id that no till has used before.
func (t *till) appendRef() {
	t.refs++
	t.body = append(t.body, "till-"...)
	t.body = strconv.AppendInt(t.body, int64(t.number), 10)
	t.body = append(t.body, '-')
	t.body = strconv.AppendInt(t.body, t.refs, 10)
}

// transact posts the body and counts the transaction that the answer acknowledges.
func (t *till) transact(path string) ([]byte, error) {
	answer, err := t.call(http.MethodPost, path, t.body)
	if err == nil {
		t.acknowledged++
	}
	return answer, err
}

// fail notes a failure. It reports whether the till can go on: after anything but a
// complete answer nobody knows what the next bytes of the connection belong to.
func (t *till) fail(err error) (goOn bool) {
	t.failed++
	if t.failure == nil {
		t.failure = err
	}
	_, refused := errors.AsType[*refusal](err)
	return refused
}
