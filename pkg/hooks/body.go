package hooks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// errNoFacts means that what an event tells of is not there, or makes no sense.
var errNoFacts = errors.New("what the event tells of cannot be read")

// body is the body of a delivery, as openapi/hooks.yaml describes it.
type body struct {
	AccountID     string       `json:"account_id"`
	Event         string       `json:"event"`
	EventDelivery uuid.UUID    `json:"event_delivery"`
	Transaction   *transaction `json:"transaction,omitempty"`
	Change        string       `json:"change,omitempty"`
	ChangedAt     *time.Time   `json:"changed_at,omitempty"`
	Card          *card        `json:"card,omitempty"`
	Subscription  *named       `json:"subscription,omitempty"`
}

type named struct {
	ID uuid.UUID `json:"id"`
}

type transaction struct {
	ID           uuid.UUID       `json:"id"`
	CardID       string          `json:"card_id"`
	CreatedAt    time.Time       `json:"created_at"`
	CreatedBy    string          `json:"created_by"`
	RefID        string          `json:"ref_id"`
	Amount       int64           `json:"amount"`
	Currency     string          `json:"currency"`
	Type         string          `json:"type"`
	ParentID     *uuid.UUID      `json:"parent_id,omitempty"`
	OriginatedBy string          `json:"originated_by,omitempty"`
	Metadata     json.RawMessage `json:"metadata,omitempty"`
}

type card struct {
	ID        uuid.UUID `json:"id"`
	CardID    string    `json:"card_id"`
	Type      string    `json:"type"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`

	// Of one that is active: an activation may still say otherwise before.
	Amount       *int64          `json:"amount,omitempty"`
	Currency     string          `json:"currency,omitempty"`
	CustomerID   string          `json:"customer_id,omitempty"`
	Name         string          `json:"name,omitempty"`
	OriginatedBy string          `json:"originated_by,omitempty"`
	ActiveFrom   *time.Time      `json:"active_from,omitempty"`
	ExpiresAt    *time.Time      `json:"expires_at,omitempty"`
	Metadata     json.RawMessage `json:"metadata,omitempty"`

	DeletedAt *time.Time `json:"deleted_at,omitempty"`
	DeletedBy string     `json:"deleted_by,omitempty"`
}

// BodyOf writes the body of an event. The same event always has the same body, whatever
// has happened since.
func BodyOf(account string, e *repository.HookEvent, facts *repository.HookFacts) ([]byte, error) {
	b := body{AccountID: account, Event: e.Event, EventDelivery: e.ID}
	switch e.Event {
	case repository.HookPing:
		b.Subscription = &named{ID: e.Subscription}
	case repository.HookTransaction:
		txn, known := facts.Transactions[e.ID]
		of, cardKnown := facts.Cards[e.Card]
		if !known || !cardKnown {
			return nil, errNoFacts
		}
		b.Transaction = transactionOf(&txn, of.CardID)
	default:
		of, known := facts.Cards[e.Card]
		if !known {
			return nil, errNoFacts
		}
		at := e.CreatedAt.Time()
		b.Change, b.ChangedAt = e.Position.Change(), &at
		b.Card = cardOf(&of, b.Change)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // as the API writes
	if err := encoder.Encode(b); err != nil {
		return nil, fmt.Errorf("encode an event: %w", err)
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

func transactionOf(t *ledger.Transaction, cardID string) *transaction {
	told := &transaction{
		ID: t.ID, CardID: cardID, CreatedAt: t.CreatedAt.Time(), CreatedBy: t.CreatedBy, RefID: t.RefID, Amount: t.Amount,
		Currency: string(t.Currency), Type: string(t.Type), OriginatedBy: t.OriginatedBy, Metadata: rawOf(t.Metadata),
	}
	if t.Parent != uuid.Nil {
		told.ParentID = &t.Parent
	}
	return told
}

// cardOf tells of a card what was so at a change and is so ever since.
func cardOf(c *ledger.Card, change string) *card {
	told := &card{ID: c.ID, CardID: c.CardID, Type: string(c.Type), CreatedAt: c.CreatedAt.Time(), CreatedBy: c.CreatedBy}
	waited := c.ActivationID != uuid.Nil // it was made inactive
	if c.Activated && (change != "created" || !waited) {
		told.Amount, told.Currency = &c.Amount, string(c.Currency)
		told.CustomerID, told.Name, told.OriginatedBy, told.Metadata = c.CustomerID, c.Name, c.OriginatedBy, rawOf(c.Metadata)
		told.ActiveFrom, told.ExpiresAt = timeOf(c.ActiveFrom), timeOf(c.ExpiresAt)
	}
	if change == "deleted" {
		told.DeletedAt, told.DeletedBy = timeOf(c.DeletedAt), c.DeletedBy
	}
	return told
}

func rawOf(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

func timeOf(m *ledger.Micros) *time.Time {
	if m == nil {
		return nil
	}
	t := m.Time()
	return &t
}
