package client

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	api "github.com/kortwallet/kort/gen/client"
)

// refIDOr is the ref_id that the caller chose, or a new one.
func refIDOr(chosen string) string {
	if chosen != "" {
		return chosen
	}
	return uuid.NewString()
}

// CreateCard creates a card. Its PIN and its token, where they are asked for, are shown in this answer alone.
func (c *Client) CreateCard(ctx context.Context, card api.CardCreate) (*api.CardCreated, error) {
	return call[api.CardCreated](ctx, "", func(ctx context.Context) (*http.Response, error) {
		return c.api.AidCardsPost(ctx, c.account, card)
	})
}

// CreateBatch creates up to 1000 inactive cards, all or none, in the order of the request.
func (c *Client) CreateBatch(ctx context.Context, batch api.BatchCreate) ([]api.CardCreated, error) {
	created, err := call[api.BatchCreated](ctx, "", func(ctx context.Context) (*http.Response, error) {
		return c.api.AidCardsBatchPost(ctx, c.account, batch)
	})
	if err != nil {
		return nil, err
	}
	return created.Cards, nil
}

// ActivateCard makes an inactive card of a batch one that can pay.
func (c *Client) ActivateCard(ctx context.Context, cardID string, activation api.CardActivate) (*api.CardDetails, error) {
	return call[api.CardDetails](ctx, "", func(ctx context.Context) (*http.Response, error) {
		return c.api.AidCardsCardidActivatePost(ctx, c.account, cardID, activation)
	})
}

// Card reads a card with its figures and its masked tokens.
func (c *Client) Card(ctx context.Context, cardID string) (*api.CardDetails, error) {
	return call[api.CardDetails](ctx, "", func(ctx context.Context) (*http.Response, error) {
		return c.api.AidCardsCardidGet(ctx, c.account, cardID)
	})
}

// DeleteCard takes a card out of use.
func (c *Client) DeleteCard(ctx context.Context, cardID string) (*api.CardDetails, error) {
	return call[api.CardDetails](ctx, "", func(ctx context.Context) (*http.Response, error) {
		return c.api.AidCardsCardidDelete(ctx, c.account, cardID)
	})
}

// RotatePIN gives a card a new PIN, which is shown in this answer alone.
func (c *Client) RotatePIN(ctx context.Context, cardID string, rotation api.PinRotate) (*api.PinRotated, error) {
	return call[api.PinRotated](ctx, "", func(ctx context.Context) (*http.Response, error) {
		return c.api.AidCardsCardidRotatePinPost(ctx, c.account, cardID, rotation)
	})
}

// CreateToken creates a token for a card. Its clear value is shown once: when the answer was lost and a repeated request
// has got the rest of it, Token is nil. An empty RefID is filled in.
func (c *Client) CreateToken(ctx context.Context, cardID string, token api.TokenCreate) (*api.Token, error) {
	token.RefID = refIDOr(token.RefID)
	return call[api.Token](ctx, token.RefID, func(ctx context.Context) (*http.Response, error) {
		return c.api.AidCardsCardidTokenPost(ctx, c.account, cardID, token)
	})
}

// CardByToken looks a card up by a token, and checks the PIN if there is one.
func (c *Client) CardByToken(ctx context.Context, token api.TokenCode) (*api.Card, error) {
	return call[api.Card](ctx, "", func(ctx context.Context) (*http.Response, error) {
		return c.api.AidCardsTokenPost(ctx, c.account, token)
	})
}

// CustomerCard reads a card of a customer.
func (c *Client) CustomerCard(ctx context.Context, customerID, cardID string) (*api.CustomerCardState, error) {
	return call[api.CustomerCardState](ctx, "", func(ctx context.Context) (*http.Response, error) {
		return c.api.AidCustomersCidCardCidGet(ctx, c.account, customerID, cardID)
	})
}

// Transact puts money on a card, takes it off, or locks it. An empty RefID is filled in.
func (c *Client) Transact(ctx context.Context, txn api.TransactionCreate) (*api.Transaction, error) {
	txn.RefID = refIDOr(txn.RefID)
	return call[api.Transaction](ctx, txn.RefID, func(ctx context.Context) (*http.Response, error) {
		return c.api.AidCardsTransactionsPost(ctx, c.account, txn)
	})
}

// Capture takes what a pending transaction locks, or a part of it. An empty RefID is filled in.
func (c *Client) Capture(ctx context.Context, transactionID uuid.UUID, capture api.CaptureBody) (*api.Transaction, error) {
	capture.RefID = refIDOr(capture.RefID)
	return call[api.Transaction](ctx, capture.RefID, func(ctx context.Context) (*http.Response, error) {
		return c.api.AidCardsCardidTransactionsCapturePost(ctx, c.account, transactionID, capture)
	})
}

// Void releases what a pending transaction still locks. An empty RefID is filled in.
func (c *Client) Void(ctx context.Context, transactionID uuid.UUID, void api.VoidBody) (*api.Transaction, error) {
	void.RefID = refIDOr(void.RefID)
	return call[api.Transaction](ctx, void.RefID, func(ctx context.Context) (*http.Response, error) {
		return c.api.AidCardsCardidTransactionsVoidPost(ctx, c.account, transactionID, void)
	})
}

// Transactions lists the whole history of a card, the oldest first.
func (c *Client) Transactions(ctx context.Context, cardID string) ([]api.Transaction, error) {
	history, err := call[[]api.Transaction](ctx, "", func(ctx context.Context) (*http.Response, error) {
		return c.api.AidCardsCardidTransactionsTidGet(ctx, c.account, cardID)
	})
	if err != nil {
		return nil, err
	}
	return *history, nil
}
