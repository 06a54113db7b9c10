package httpapi

import (
	"context"
	"fmt"

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
	hash, others := h.tokenHashes(r.Aid, cardcode.Secret(r.Body.Token))
	card, err := h.cardByToken(ctx, r.Aid, &ledger.CheckPIN{
		TokenHash: hash, OtherHashes: others, PIN: h.pinCheck(r.Aid, r.Body.Pin, true),
	})
	if err != nil {
		return nil, err
	}
	return api.AidCardsTokenPost200JSONResponse{Body: cardOf(&card, h.Clock(r.Aid))}, nil
}

// tokenHashes hashes a token's value under all data keys, the current one first: which
// of them it is stored under is not known.
func (h *handlers) tokenHashes(account string, value cardcode.Secret) (string, []ledger.KeyedHash) {
	var others []ledger.KeyedHash
	for _, key := range h.DataKeys.Others() {
		others = append(others, ledger.KeyedHash{KeyID: key.ID(), Hash: key.TokenHash(account, value)})
	}
	return h.DataKeys.Current().TokenHash(account, value), others
}

func (h *handlers) cardByToken(ctx context.Context, account string, look *ledger.CheckPIN) (ledger.Card, error) {
	if look.PIN.Compare == nil && !look.PIN.Required {
		hashes := []string{look.TokenHash}
		for i := range look.OtherHashes {
			hashes = append(hashes, look.OtherHashes[i].Hash)
		}
		return h.Store.CardByToken(ctx, account, h.Clock(account), hashes...)
	}
	result, err := h.Submit(ctx, account, look)
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
		check.Compare = func(card uuid.UUID, pin *ledger.PIN) (bool, error) {
			key, found := h.DataKeys.Key(pin.KeyID)
			if !found {
				return false, fmt.Errorf("key %s: %w", pin.KeyID, ledger.ErrUnknownKey)
			}
			return key.EqualPIN(pin.Hash, account, card, value), nil
		}
	}
	return check
}
