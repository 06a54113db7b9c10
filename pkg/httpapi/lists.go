package httpapi

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// defaultLimit is the size of a page when none is asked for.
const defaultLimit = 10

// AidCardsGet lists cards.
func (h *handlers) AidCardsGet(ctx context.Context, r api.AidCardsGetRequestObject) (api.AidCardsGetResponseObject, error) {
	now := h.Clock(r.Aid)
	filter, err := filterOf(&r.Params, now)
	if err != nil {
		return nil, err
	}
	page, err := pageOf(r.Params.Limit, r.Params.StartingAfter)
	if err != nil {
		return nil, err
	}
	cards, next, err := h.Store.Cards(ctx, r.Aid, filter, page)
	if err != nil {
		return nil, err
	}
	list := api.CardList{Cards: make([]api.Card, len(cards))}
	for i := range cards {
		list.Cards[i] = cardOf(&cards[i], now)
	}
	if next != uuid.Nil {
		list.StartingAfter = some(next.String())
	}
	return api.AidCardsGet200JSONResponse{Body: list}, nil
}

// AidCustomersCidCardsGet lists a customer's cards.
func (h *handlers) AidCustomersCidCardsGet(
	ctx context.Context, r api.AidCustomersCidCardsGetRequestObject,
) (api.AidCustomersCidCardsGetResponseObject, error) {
	page, err := pageOf(r.Params.Limit, r.Params.StartingAfter)
	if err != nil {
		return nil, err
	}
	cards, err := h.Store.CustomerCards(ctx, r.Aid, r.CustomerID, page)
	if err != nil {
		return nil, err
	}
	now := h.Clock(r.Aid)
	list := make([]api.CustomerCard, len(cards))
	for i := range cards {
		list[i] = customerCardOf(&cards[i], now)
	}
	return api.AidCustomersCidCardsGet200JSONResponse{Body: list}, nil
}

// AidCustomersCidCardCidGet answers with a customer's card.
func (h *handlers) AidCustomersCidCardCidGet(
	ctx context.Context, r api.AidCustomersCidCardCidGetRequestObject,
) (api.AidCustomersCidCardCidGetResponseObject, error) {
	card, err := h.Store.CustomerCard(ctx, r.Aid, r.CustomerID, r.CardID)
	if err != nil {
		return nil, err
	}
	now := h.Clock(r.Aid)
	tokens, err := h.Store.Tokens(ctx, r.Aid, card.ID, now)
	if err != nil {
		return nil, err
	}
	return api.AidCustomersCidCardCidGet200JSONResponse{Body: customerCardStateOf(&card, tokens, now)}, nil
}

func pageOf(limit *int, after *string) (repository.Page, error) {
	page := repository.Page{Limit: defaultLimit}
	if limit != nil {
		page.Limit = *limit
	}
	if after == nil {
		return page, nil
	}
	id, err := uuid.Parse(*after)
	if err != nil || id == uuid.Nil || !strings.EqualFold(id.String(), *after) { // Parse knows other spellings
		return page, repository.ErrUnknownCursor
	}
	page.After = id
	return page, nil
}

func filterOf(p *api.AidCardsGetParams, now ledger.Micros) (repository.Filter, error) {
	f := repository.Filter{
		Now: now, Search: given(p.Search), Type: ledger.CardType(given(p.Type)), Status: ledger.Status(given(p.Status)),
		Balance:   rangeOf(p.AmountBalance, p.AmountBalanceGte, p.AmountBalanceLte),
		Available: rangeOf(p.AmountAvailable, p.AmountAvailableGte, p.AmountAvailableLte),
		Customer:  given(p.Customer), IncludeDeleted: given(p.IncludeDeleted),
	}
	for _, currency := range given(p.Currency) {
		f.Currencies = append(f.Currencies, ledger.Currency(currency))
	}
	for _, date := range []struct {
		name string
		sent *string
		to   **int64
	}{
		{"created_at.gte", p.CreatedAtGte, &f.Created.From},
		{"created_at.lte", p.CreatedAtLte, &f.Created.To},
		{"expires_at.gte", p.ExpiresAtGte, &f.Expires.From},
		{"expires_at.lte", p.ExpiresAtLte, &f.Expires.To},
	} {
		if date.sent == nil {
			continue
		}
		moment, err := queryTime(*date.sent)
		if err != nil {
			return f, invalid(date.name, "must be a date, or a date and time as in RFC 3339")
		}
		*date.to = &moment
	}
	return f, nil
}

// rangeOf combines an exact value with bounds: all have to hold.
func rangeOf(exact, from, to *int64) repository.Range {
	r := repository.Range{From: from, To: to}
	if exact != nil {
		if r.From == nil || *exact > *r.From {
			r.From = exact
		}
		if r.To == nil || *exact < *r.To {
			r.To = exact
		}
	}
	return r
}
