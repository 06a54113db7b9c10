package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kortwallet/kort/gen/client"
)

// object is a JSON object.
type object = map[string]any

// raw is a body as it is written.
type raw string

// with is an object with more in it; what is nil is taken away.
func with(base object, more ...object) object {
	merged := maps.Clone(base)
	for _, m := range more {
		maps.Copy(merged, m)
	}
	maps.DeleteFunc(merged, func(_ string, value any) bool { return value == nil })
	return merged
}

// encode writes a body.
func (t *trial) encode(body any) io.Reader {
	if text, ok := body.(raw); ok {
		return strings.NewReader(string(text))
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		t.fail("a body that can be written", err.Error())
	}
	return &buffer
}

const (
	jsonType = "application/json"
	base     = "/v1"
)

func (s *suite) server() string { return s.URL + base + "/" }

// send sends a request of an operation, made by the generated client.
func (t *trial) send(operation string, request *http.Request, err error) answer {
	if err != nil {
		t.fail("a request that can be made", err.Error())
	}
	for waited := time.Duration(0); ; {
		a := t.sendOnce(operation, request)
		later := a.later()
		if waited += later; later == 0 || waited > maxPatience {
			return a
		}
		select {
		case <-time.After(later):
		case <-t.ctx.Done():
		}
		if request.GetBody != nil {
			if request.Body, err = request.GetBody(); err != nil {
				t.fail("a body that can be sent again", err.Error())
			}
		}
	}
}

// later is how long to wait before the request makes sense; a limit on requests says nothing
// about the rule. 0 for an answer.
func (a answer) later() time.Duration {
	busy := a.status == http.StatusServiceUnavailable || a.status == http.StatusTooManyRequests && a.code() != client.ErrorCodePinLocked
	if !busy {
		return 0
	}
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if err != nil {
		seconds = 1
	}
	return time.Duration(max(seconds, 1)) * time.Second
}

func (t *trial) sendOnce(operation string, request *http.Request) answer {
	request = request.WithContext(t.ctx)
	if t.bearer != "" {
		request.Header.Set("Authorization", "Bearer "+t.bearer)
	}
	for _, header := range t.header {
		request.Header.Set(header[0], header[1])
	}
	t.last = t.describe(request)
	response, err := t.http.Do(request)
	if err != nil {
		t.fail("an answer", reason(t.ctx, err))
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if closeErr := response.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		t.fail("a whole answer", reason(t.ctx, err))
	}
	a := answer{t: t, status: response.StatusCode, header: response.Header, body: body}
	t.last += "\n" + a.String()
	t.document.look(operation, a)
	return a
}

// reason says in plain words that the time was over.
func reason(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return "none within the time that a check has"
	}
	return err.Error()
}

// describe is a request without secrets.
func (t *trial) describe(request *http.Request) string {
	body := ""
	if request.GetBody != nil {
		if reader, err := request.GetBody(); err == nil {
			if content, err := io.ReadAll(reader); err == nil {
				body = " " + shorten(redact(strings.TrimSpace(string(content))))
			}
		}
	}
	return request.Method + " " + request.URL.RequestURI() + body
}

// path is one below the wallets of the account.
func (s *suite) path(below string) string {
	return base + "/accounts/" + s.Account + "/wallets" + below
}

// raw sends a request that the client would not make. The operation is the one that it is
// meant for; empty for none.
func (t *trial) raw(operation, method, path string, body any) answer {
	var reader io.Reader = http.NoBody
	if body != nil {
		reader = t.encode(body)
	}
	request, err := http.NewRequestWithContext(t.ctx, method, t.URL+path, reader)
	if err == nil && body != nil {
		request.Header.Set("Content-Type", jsonType)
	}
	return t.send(operation, request, err)
}

// rawPost sends a body that the client would not make.
func (t *trial) rawPost(operation, below, body string) answer {
	return t.raw(operation, http.MethodPost, t.path(below), raw(body))
}

// query sends a request with a query as it is written.
func (t *trial) query(operation string, request *http.Request, err error, query string) answer {
	if err == nil {
		request.URL.RawQuery = query
	}
	return t.send(operation, request, err)
}

// The operations, by their ids in the contract.
const (
	opCreate        = "aid_cards_post"
	opList          = "aid_cards_get"
	opGet           = "aid_cards_cardid_get"
	opDelete        = "aid_cards_cardid_delete"
	opToken         = "aid_cards_cardid_token_post"
	opInfo          = "aid_cards_token_post"
	opCustomerCards = "aid_customers_cid_cards_get"
	opCustomerCard  = "aid_customers_cid_card_cid_get"
	opTransactions  = "aid_cards_cardid_transactions_tid_get"
	opTransact      = "aid_cards_transactions_post"
	opCapture       = "aid_cards_cardid_transactions_capture_post"
	opVoid          = "aid_cards_cardid_transactions_void_post"
	opRotate        = "aid_cards_cardid_rotate_pin_post"
	opBatch         = "aid_cards_batch_post"
	opActivate      = "aid_cards_cardid_activate_post"
)

func (t *trial) createCard(body any) answer {
	request, err := client.NewAidCardsPostRequestWithBody(t.server(), t.Account, jsonType, t.encode(body))
	return t.send(opCreate, request, err)
}

func (t *trial) listCards(query string) answer {
	request, err := client.NewAidCardsGetRequest(t.server(), t.Account, nil)
	return t.query(opList, request, err, query)
}

func (t *trial) getCard(id string) answer {
	request, err := client.NewAidCardsCardidGetRequest(t.server(), t.Account, id)
	return t.send(opGet, request, err)
}

func (t *trial) deleteCard(id string) answer {
	request, err := client.NewAidCardsCardidDeleteRequest(t.server(), t.Account, id)
	return t.send(opDelete, request, err)
}

func (t *trial) createToken(id string, body any) answer {
	request, err := client.NewAidCardsCardidTokenPostRequestWithBody(t.server(), t.Account, id, jsonType, t.encode(body))
	return t.send(opToken, request, err)
}

func (t *trial) info(body any) answer {
	request, err := client.NewAidCardsTokenPostRequestWithBody(t.server(), t.Account, jsonType, t.encode(body))
	return t.send(opInfo, request, err)
}

func (t *trial) customerCards(customer, query string) answer {
	request, err := client.NewAidCustomersCidCardsGetRequest(t.server(), t.Account, customer, nil)
	return t.query(opCustomerCards, request, err, query)
}

func (t *trial) customerCard(customer, id string) answer {
	request, err := client.NewAidCustomersCidCardCidGetRequest(t.server(), t.Account, customer, id)
	return t.send(opCustomerCard, request, err)
}

func (t *trial) transactions(id string) answer {
	request, err := client.NewAidCardsCardidTransactionsTidGetRequest(t.server(), t.Account, id)
	return t.send(opTransactions, request, err)
}

func (t *trial) transact(body any) answer {
	request, err := client.NewAidCardsTransactionsPostRequestWithBody(t.server(), t.Account, jsonType, t.encode(body))
	return t.send(opTransact, request, err)
}

func (t *trial) capture(id client.ObjectID, body any) answer {
	request, err := client.NewAidCardsCardidTransactionsCapturePostRequestWithBody(t.server(), t.Account, id, jsonType, t.encode(body))
	return t.send(opCapture, request, err)
}

func (t *trial) void(id client.ObjectID, body any) answer {
	request, err := client.NewAidCardsCardidTransactionsVoidPostRequestWithBody(t.server(), t.Account, id, jsonType, t.encode(body))
	return t.send(opVoid, request, err)
}

func (t *trial) rotatePIN(id string, body any) answer {
	request, err := client.NewAidCardsCardidRotatePinPostRequestWithBody(t.server(), t.Account, id, jsonType, t.encode(body))
	return t.send(opRotate, request, err)
}

func (t *trial) batch(body any) answer {
	request, err := client.NewAidCardsBatchPostRequestWithBody(t.server(), t.Account, jsonType, t.encode(body))
	return t.send(opBatch, request, err)
}

func (t *trial) activate(id string, body any) answer {
	request, err := client.NewAidCardsCardidActivatePostRequestWithBody(t.server(), t.Account, id, jsonType, t.encode(body))
	return t.send(opActivate, request, err)
}

// newCard makes a card with 100.00 NOK on it, unless more says otherwise.
func (t *trial) newCard(more ...object) client.CardCreated {
	return decode[client.CardCreated](t.createCard(t.cardBody(more...)).ok())
}

// cardBody is the body of a new card.
func (t *trial) cardBody(more ...object) object {
	return with(object{"card_id": t.id(), "amount": 10000, "currency": "NOK"}, more...)
}

// txn is the body of a transaction on a card, a drawdown unless more says otherwise.
func (t *trial) txn(card string, amount int64, more ...object) object {
	return with(object{"ref_id": t.name(), "card_id": card, "amount": amount, "currency": "NOK"}, more...)
}

// payment is the body of a drawdown by token.
func (t *trial) payment(token string, amount int64, more ...object) object {
	return with(object{"ref_id": t.name(), "token": token, "amount": amount, "currency": "NOK"}, more...)
}

// The kinds of transactions.
var (
	fund = object{"type": "fund"}
	hold = object{"pending": true}
)

// post makes a transaction.
func (t *trial) post(card string, amount int64, more ...object) client.Transaction {
	return decode[client.Transaction](t.transact(t.txn(card, amount, more...)).ok())
}

// ref is the body of a void, or of a capture of everything.
func (t *trial) ref(more ...object) object { return with(object{"ref_id": t.name()}, more...) }

// take captures a part of a hold.
func (t *trial) take(id client.ObjectID, amount int64) client.Transaction {
	return decode[client.Transaction](t.capture(id, t.ref(object{"amount": amount})).ok())
}

// show reads a card.
func (t *trial) show(id string) client.CardDetails {
	return decode[client.CardDetails](t.getCard(id).ok())
}

// history reads the transactions of a card.
func (t *trial) history(id string) []client.Transaction {
	return decode[[]client.Transaction](t.transactions(id).ok())
}

// list reads a page of cards.
func (t *trial) list(query string) client.CardList {
	return decode[client.CardList](t.listCards(query).ok())
}

// figures are the amounts of a card that follow from its history.
type figures struct{ funds, drawdown, pending int64 }

// String is all figures of the contract.
func (f figures) String() string {
	balance := f.funds - f.drawdown
	return fmt.Sprintf("funds %d, drawdown %d, balance %d, pending %d, reserved %d, available %d",
		f.funds, f.drawdown, balance, f.pending, f.pending, balance-f.pending)
}

// stands ends the check unless the card has these figures.
func (t *trial) stands(card string, want figures) {
	c := t.show(card)
	got := fmt.Sprintf("funds %d, drawdown %d, balance %d, pending %d, reserved %d, available %d",
		c.AmountFunds, c.AmountDrawdown, c.AmountBalance, c.AmountPending, c.AmountReserved, c.AmountAvailable)
	equal(t, "figures of the card", got, want.String())
}

// value is what a field holds, or nothing.
func value[T any](field *T) T {
	if field == nil {
		var nothing T
		return nothing
	}
	return *field
}
