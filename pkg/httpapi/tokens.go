package httpapi

import (
	"context"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/ledger"
)

// AidCardsCardidTokenPost creates a token. A replay has no clear value: it is not
// stored.
func (h *handlers) AidCardsCardidTokenPost(
	ctx context.Context, r api.AidCardsCardidTokenPostRequestObject,
) (api.AidCardsCardidTokenPostResponseObject, error) {
	drawn, err := h.drawToken(r.Aid, r.Body.Format, "/format")
	if err != nil {
		return nil, err
	}
	token := &drawn.Token
	if token.Metadata, err = canonical(r.Body.Metadata); err != nil {
		return nil, err
	}
	token.RefID, token.ExpiresIn, token.CreatedBy = r.Body.RefID, r.Body.ExpiresIn, principalOf(ctx).Subject
	if r.Body.ExpiresAfterTransaction != nil {
		token.SingleUse = *r.Body.ExpiresAfterTransaction
	}
	result, err := h.Submit(ctx, r.Aid, &ledger.CreateToken{CardID: r.CardID, New: drawn.NewToken})
	if err != nil {
		return nil, err
	}
	made := &result.Token
	answer := api.Token{
		ID: made.ID, CreatedAt: made.CreatedAt.Time(), CreatedBy: made.CreatedBy, Metadata: rawOf(made.Metadata),
		RefID: made.RefID, Format: storedFormat[api.Format](made.Format),
		ExpiresIn: made.ExpiresIn, ExpiresAfterTransaction: made.SingleUse,
	}
	if !result.Replayed {
		clear, err := clearValue(drawn.values[result.Choices[0]], drawn.format.shape)
		if err != nil {
			return nil, err
		}
		answer.Token = &clear
	}
	return api.AidCardsCardidTokenPost200JSONResponse{
		Body: answer, Headers: api.AidCardsCardidTokenPost200ResponseHeaders{IdempotencyReplayed: replayed(result.Replayed)},
	}, nil
}

// AidCardsCardidRotatePinPost gives a card a new PIN, or its first.
func (h *handlers) AidCardsCardidRotatePinPost(
	ctx context.Context, r api.AidCardsCardidRotatePinPostRequestObject,
) (api.AidCardsCardidRotatePinPostResponseObject, error) {
	drawn, err := drawPIN(&r.Body.Pin, "/pin")
	if err != nil {
		return nil, err
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	_, err = h.Submit(ctx, r.Aid, &ledger.RotatePIN{
		ID: id, CardID: r.CardID,
		PINFor: func(card uuid.UUID) ledger.PIN { return *h.storedPIN(r.Aid, card, drawn) },
	})
	if err != nil {
		return nil, err
	}
	pin, err := drawn.generated()
	if err != nil {
		return nil, err
	}
	return api.AidCardsCardidRotatePinPost200JSONResponse{Body: api.PinRotated{Pin: *pin}}, nil
}

// AidCardsTokenPost finds a card by its token. A PIN is tried under the card's
// lock, where its failures are counted.
func (h *handlers) AidCardsTokenPost(
	ctx context.Context, r api.AidCardsTokenPostRequestObject,
) (api.AidCardsTokenPostResponseObject, error) {
	hash := h.DataKey.TokenHash(r.Aid, cardcode.Secret(r.Body.Token))
	card, err := h.cardByToken(ctx, r.Aid, hash, h.pinCheck(r.Aid, r.Body.Pin, true))
	if err != nil {
		return nil, err
	}
	return api.AidCardsTokenPost200JSONResponse{Body: cardOf(&card, h.Clock(r.Aid))}, nil
}

func (h *handlers) cardByToken(ctx context.Context, account, hash string, pin ledger.PINCheck) (ledger.Card, error) {
	if pin.Compare == nil && !pin.Required {
		return h.Store.CardByToken(ctx, account, hash, h.Clock(account))
	}
	result, err := h.Submit(ctx, account, &ledger.CheckPIN{TokenHash: hash, PIN: pin})
	if err != nil {
		return ledger.Card{}, err
	}
	return result.Cards[0], nil
}

// pinCheck prepares the comparison of a PIN. Only requests by token can be made to
// need one.
func (h *handlers) pinCheck(account string, sent *string, byToken bool) ledger.PINCheck {
	check := ledger.PINCheck{Required: byToken && h.RequirePIN}
	if sent != nil {
		value := cardcode.Secret(*sent)
		check.Compare = func(card uuid.UUID, pin *ledger.PIN) bool {
			return h.DataKey.EqualPIN(pin.Hash, account, card, value)
		}
	}
	return check
}
