package httpapi

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/strictjson"
)

// Conversions between the contract's types and the ledger's.

func decodeBody(body []byte, target any) error { return json.Unmarshal(body, target) }

// canonical makes the text under which metadata is stored and compared. Empty
// means that none was sent.
func canonical(raw json.RawMessage) (string, error) {
	if raw == nil {
		return "", nil
	}
	text, err := strictjson.Canonical(raw)
	if err != nil {
		return "", &failure{code: api.ErrorCodeInvalidRequest, cause: fmt.Errorf("canonical metadata: %w", err)}
	}
	return string(text), nil
}

func rawOf(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

// given returns what a pointer points to, or the zero value.
func given[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// some returns a pointer to a value, or nil for the zero value, which is left out
// of answers.
func some[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

func microsOf(t *time.Time) *ledger.Micros {
	if t == nil {
		return nil
	}
	m := ledger.MicrosOf(*t)
	return &m
}

func timeOf(m *ledger.Micros) *time.Time {
	if m == nil {
		return nil
	}
	t := m.Time()
	return &t
}

func cardOf(c *ledger.Card, now ledger.Micros) api.Card {
	return api.Card{
		ID: c.ID, CardID: c.CardID, CustomerID: some(c.CustomerID), Name: some(c.Name), Type: api.CardType(c.Type),
		Status: api.CardStatus(c.Status(now)), Metadata: rawOf(c.Metadata), OriginatedBy: some(c.OriginatedBy),
		CreatedAt: c.CreatedAt.Time(), CreatedBy: c.CreatedBy,
		Amount: c.Amount, Currency: some(api.Currency(c.Currency)),
		AmountBalance: c.Balance.Balance(), AmountAvailable: c.Available(), AmountFunds: c.Funds,
		AmountDrawdown: c.Drawdown, AmountPending: c.Pending, AmountReserved: c.Reserved,
		ActiveFrom: timeOf(c.ActiveFrom), ExpiresAt: timeOf(c.ExpiresAt),
		Pin: pinOf(c.PIN), DeletedAt: timeOf(c.DeletedAt), DeletedBy: some(c.DeletedBy),
	}
}

func cardDetailsOf(c *ledger.Card, tokens []ledger.Token, now ledger.Micros) api.CardDetails {
	card := cardOf(c, now)
	return api.CardDetails{
		ID: card.ID, CardID: card.CardID, CustomerID: card.CustomerID, Name: card.Name, Type: card.Type,
		Status: card.Status, Metadata: card.Metadata, OriginatedBy: card.OriginatedBy,
		CreatedAt: card.CreatedAt, CreatedBy: card.CreatedBy, Amount: card.Amount, Currency: card.Currency,
		AmountBalance: card.AmountBalance, AmountAvailable: card.AmountAvailable, AmountFunds: card.AmountFunds,
		AmountDrawdown: card.AmountDrawdown, AmountPending: card.AmountPending, AmountReserved: card.AmountReserved,
		ActiveFrom: card.ActiveFrom, ExpiresAt: card.ExpiresAt, Pin: card.Pin,
		DeletedAt: card.DeletedAt, DeletedBy: card.DeletedBy, Tokens: maskedTokens(tokens),
	}
}

func cardCreatedOf(c *ledger.Card, now ledger.Micros) api.CardCreated {
	card := cardOf(c, now)
	return api.CardCreated{
		ID: card.ID, CardID: card.CardID, CustomerID: card.CustomerID, Name: card.Name, Type: card.Type,
		Status: card.Status, Metadata: card.Metadata, OriginatedBy: card.OriginatedBy,
		CreatedAt: card.CreatedAt, CreatedBy: card.CreatedBy, Amount: card.Amount, Currency: card.Currency,
		AmountBalance: card.AmountBalance, AmountAvailable: card.AmountAvailable, AmountFunds: card.AmountFunds,
		AmountDrawdown: card.AmountDrawdown, AmountPending: card.AmountPending, AmountReserved: card.AmountReserved,
		ActiveFrom: card.ActiveFrom, ExpiresAt: card.ExpiresAt,
	}
}

func customerCardOf(c *ledger.Card, now ledger.Micros) api.CustomerCard {
	return api.CustomerCard{
		ID: c.ID, CardID: c.CardID, CustomerID: c.CustomerID, Name: some(c.Name), Type: api.CardType(c.Type),
		Status: api.CardStatus(c.Status(now)), Metadata: rawOf(c.Metadata), OriginatedBy: some(c.OriginatedBy),
		CreatedAt: c.CreatedAt.Time(), CreatedBy: c.CreatedBy,
		ActiveFrom: timeOf(c.ActiveFrom), ExpiresAt: timeOf(c.ExpiresAt), Pin: pinOf(c.PIN),
	}
}

func customerCardStateOf(c *ledger.Card, tokens []ledger.Token, now ledger.Micros) api.CustomerCardState {
	card := customerCardOf(c, now)
	return api.CustomerCardState{
		ID: card.ID, CardID: card.CardID, CustomerID: card.CustomerID, Name: card.Name, Type: card.Type,
		Status: card.Status, Metadata: card.Metadata, OriginatedBy: card.OriginatedBy,
		CreatedAt: card.CreatedAt, CreatedBy: card.CreatedBy, ActiveFrom: card.ActiveFrom, ExpiresAt: card.ExpiresAt,
		Currency:      some(api.Currency(c.Currency)),
		AmountBalance: c.Balance.Balance(), AmountAvailable: c.Available(), AmountFunds: c.Funds,
		AmountDrawdown: c.Drawdown, AmountPending: c.Pending, AmountReserved: c.Reserved,
		Pin: card.Pin, Tokens: maskedTokens(tokens),
	}
}

// maskedTokens is an array also when there is nothing in it.
func maskedTokens(tokens []ledger.Token) api.TokenList {
	list := make(api.TokenList, len(tokens))
	for i := range tokens {
		t := &tokens[i]
		list[i] = api.MaskedToken{ExpiresAt: timeOf(t.ExpiresAt), MaskedCode: t.Masked, Format: storedFormat[api.Format](t.Format)}
	}
	return list
}

func pinOf(pin *ledger.PIN) *api.CardPin {
	if pin == nil {
		return nil
	}
	return &api.CardPin{Format: storedFormat[api.PinFormat](pin.Format)}
}

func transactionOf(t *ledger.Transaction) api.Transaction {
	return api.Transaction{
		ID: t.ID, CreatedAt: t.CreatedAt.Time(), CreatedBy: t.CreatedBy, Metadata: rawOf(t.Metadata),
		RefID: t.RefID, Amount: t.Amount, Currency: api.Currency(t.Currency), Type: api.TransactionType(t.Type),
		ParentID: some(t.Parent), OriginatedBy: some(t.OriginatedBy),
	}
}

// replayed is the value of the replay header: present only on a replay.
func replayed(is bool) *bool { return some(is) }
