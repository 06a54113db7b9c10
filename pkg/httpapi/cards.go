package httpapi

import (
	"context"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/pkg/ledger"
)

// draft is a card that is about to be created, with the clear values that its
// answer will show.
type draft struct {
	ledger.NewCard
	pin   *newPIN
	token *newToken
}

// draftCard draws the ids and values of a new card. The client's part of the card
// is completed by the caller.
func (h *handlers) draftCard(
	ctx context.Context, account string, pin *api.PinGenerator, token *api.TokenGenerator, pointer string,
) (*draft, error) {
	cardID, err := newID()
	if err != nil {
		return nil, err
	}
	openingID, err := newID()
	if err != nil {
		return nil, err
	}
	subject := principalOf(ctx).Subject
	d := &draft{NewCard: ledger.NewCard{OpeningID: openingID, Card: ledger.Card{ID: cardID, CreatedBy: subject}}}
	if pin != nil {
		drawn, err := drawPIN(pin, pointer+"/pin")
		if err != nil {
			return nil, err
		}
		d.pin, d.Card.PIN = &drawn, h.storedPIN(account, cardID, drawn)
		d.Card.PIN.ID = cardID
	}
	if token != nil {
		if d.token, err = h.drawToken(account, token.Format, pointer+"/card_token/format"); err != nil {
			return nil, err
		}
		d.token.Token.ExpiresIn, d.token.Token.CreatedBy = given(token.ExpiresIn), subject
		if token.ExpiresAfterTransaction != nil {
			d.token.Token.SingleUse = *token.ExpiresAfterTransaction
		}
		d.Token = &d.token.NewToken
	}
	return d, nil
}

// created is the answer for a card that was created. The choice says which of the
// token's candidates was free.
func (d *draft) created(card *ledger.Card, choice int, now ledger.Micros) (api.CardCreated, error) {
	answer := cardCreatedOf(card, now)
	if d.pin != nil {
		pin, err := d.pin.generated()
		if err != nil {
			return answer, err
		}
		answer.Pin = pin
	}
	if d.token != nil {
		clear, err := clearValue(d.token.values[choice], d.token.format.shape)
		if err != nil {
			return answer, err
		}
		answer.CardToken = &api.TokenGenerated{
			ExpiresAfterTransaction: d.token.Token.SingleUse, ExpiresIn: some(d.token.Token.ExpiresIn),
			Format: storedFormat[api.Format](d.token.format.stored), Token: clear,
		}
	}
	return answer, nil
}

// AidCardsPost creates a card.
func (h *handlers) AidCardsPost(ctx context.Context, r api.AidCardsPostRequestObject) (api.AidCardsPostResponseObject, error) {
	d, err := h.draftCard(ctx, r.Aid, r.Body.Pin, r.Body.CardToken, "")
	if err != nil {
		return nil, err
	}
	metadata, err := canonical(r.Body.Metadata)
	if err != nil {
		return nil, err
	}
	card := &d.Card
	card.CardID, card.CustomerID, card.Name = r.Body.CardID, given(r.Body.CustomerID), given(r.Body.Name)
	card.Type, card.OriginatedBy, card.Metadata = typeOf(r.Body.Type), given(r.Body.OriginatedBy), metadata
	card.Amount, card.Currency, card.Activated = r.Body.Amount, ledger.Currency(r.Body.Currency), true
	card.ActiveFrom, card.ExpiresAt = microsOf(r.Body.ActiveFrom), microsOf(r.Body.ExpiresAt)

	created, err := h.create(ctx, r.Aid, []*draft{d}, false)
	if err != nil {
		return nil, err
	}
	return api.AidCardsPost200JSONResponse{Body: created[0]}, nil
}

// AidCardsBatchPost creates cards that wait for their activation, all or none.
func (h *handlers) AidCardsBatchPost(
	ctx context.Context, r api.AidCardsBatchPostRequestObject,
) (api.AidCardsBatchPostResponseObject, error) {
	options := given(r.Body.Options)
	drafts := make([]*draft, len(r.Body.Cards))
	for i, asked := range r.Body.Cards {
		d, err := h.draftCard(ctx, r.Aid, options.Pin, options.CardToken, "/options")
		if err != nil {
			return nil, err
		}
		d.Card.CardID, d.Card.Type = asked.CardID, typeOf(asked.Type)
		drafts[i] = d
	}
	created, err := h.create(ctx, r.Aid, drafts, true)
	if err != nil {
		return nil, err
	}
	return api.AidCardsBatchPost200JSONResponse{Body: api.BatchCreated{Cards: created}}, nil
}

// create submits drafts and answers with their clear values.
func (h *handlers) create(ctx context.Context, account string, drafts []*draft, batch bool) ([]api.CardCreated, error) {
	op := &ledger.CreateCards{Batch: batch}
	for _, d := range drafts {
		op.Cards = append(op.Cards, d.NewCard)
	}
	result, err := h.Submit(ctx, account, op)
	if err != nil {
		return nil, err
	}
	now, choices := h.Clock(account), result.Choices
	created := make([]api.CardCreated, len(drafts))
	for i, d := range drafts {
		choice := 0
		if d.token != nil {
			choice, choices = choices[0], choices[1:]
		}
		if created[i], err = d.created(&result.Cards[i], choice, now); err != nil {
			return nil, err
		}
	}
	return created, nil
}

func typeOf(sent *api.CardCreateType) ledger.CardType {
	if sent == nil {
		return ledger.GiftCard
	}
	return ledger.CardType(*sent)
}

// AidCardsCardidGet answers with a card and its tokens.
func (h *handlers) AidCardsCardidGet(
	ctx context.Context, r api.AidCardsCardidGetRequestObject,
) (api.AidCardsCardidGetResponseObject, error) {
	now := h.Clock(r.Aid)
	card, tokens, err := h.Store.CardDetails(ctx, r.Aid, r.CardID, now)
	if err != nil {
		return nil, err
	}
	return api.AidCardsCardidGet200JSONResponse{Body: cardDetailsOf(&card, tokens, now)}, nil
}

// AidCardsCardidDelete takes a card out of use.
func (h *handlers) AidCardsCardidDelete(
	ctx context.Context, r api.AidCardsCardidDeleteRequestObject,
) (api.AidCardsCardidDeleteResponseObject, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	op := &ledger.DeleteCard{ID: id, CardID: r.CardID, By: principalOf(ctx).Subject}
	result, err := h.Submit(ctx, r.Aid, op)
	if err != nil {
		return nil, err
	}
	details, err := h.details(ctx, r.Aid, &result.Cards[0])
	if err != nil {
		return nil, err
	}
	return api.AidCardsCardidDelete200JSONResponse{Body: details}, nil
}

// AidCardsCardidActivatePost gives a batch-made card its money, owner and dates.
func (h *handlers) AidCardsCardidActivatePost(
	ctx context.Context, r api.AidCardsCardidActivatePostRequestObject,
) (api.AidCardsCardidActivatePostResponseObject, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	metadata, err := canonical(r.Body.Metadata)
	if err != nil {
		return nil, err
	}
	result, err := h.Submit(ctx, r.Aid, &ledger.Activate{
		ID: id, CardID: r.CardID, Amount: r.Body.Amount, Currency: ledger.Currency(r.Body.Currency),
		CustomerID: given(r.Body.CustomerID), Name: given(r.Body.Name), OriginatedBy: given(r.Body.OriginatedBy),
		Metadata: metadata, ActiveFrom: microsOf(r.Body.ActiveFrom), ExpiresAt: microsOf(r.Body.ExpiresAt),
		By: principalOf(ctx).Subject,
	})
	if err != nil {
		return nil, err
	}
	details, err := h.details(ctx, r.Aid, &result.Cards[0])
	if err != nil {
		return nil, err
	}
	return api.AidCardsCardidActivatePost200JSONResponse{Body: details}, nil
}

// details adds a card's tokens, which no operation changes into others.
func (h *handlers) details(ctx context.Context, account string, card *ledger.Card) (api.CardDetails, error) {
	now := h.Clock(account)
	tokens, err := h.Store.Tokens(ctx, account, card.ID, now)
	if err != nil {
		return api.CardDetails{}, err
	}
	return cardDetailsOf(card, tokens, now), nil
}

// storedPIN is what the database keeps of a drawn PIN.
func (h *handlers) storedPIN(account string, card uuid.UUID, drawn newPIN) *ledger.PIN {
	key := h.DataKeys.Current()
	return &ledger.PIN{Format: drawn.format.stored, KeyID: key.ID(), Hash: key.PINHash(account, card, drawn.value)}
}
