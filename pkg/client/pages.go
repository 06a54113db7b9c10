package client

import (
	"context"
	"iter"
	"net/http"

	api "github.com/kortwallet/kort/gen/client"
)

// pageSize is how many items a page has, unless the caller chose; it is the most that there can be.
const pageSize = 100

// Cards walks through the cards that a filter finds, the newest first, and asks for the next page when it is needed.
// StartingAfter of the filter says where to begin. An error ends the walk; the card beside it is empty.
func (c *Client) Cards(ctx context.Context, filter api.AidCardsGetParams) iter.Seq2[api.Card, error] {
	if filter.Limit == nil {
		filter.Limit = new(int)
		*filter.Limit = pageSize
	}
	return func(yield func(api.Card, error) bool) {
		query := filter // a walk may be taken again
		for {
			page, err := call[api.CardList](ctx, "", func(ctx context.Context) (*http.Response, error) {
				return c.api.AidCardsGet(ctx, c.account, &query)
			})
			if err != nil {
				yield(api.Card{}, err)
				return
			}
			for _, card := range page.Cards {
				if !yield(card, nil) {
					return
				}
			}
			if page.StartingAfter == nil {
				return
			}
			query.StartingAfter = page.StartingAfter
		}
	}
}

// CustomerCards walks through the cards of a customer, the newest first. An error ends the walk.
func (c *Client) CustomerCards(ctx context.Context, customerID string) iter.Seq2[api.CustomerCard, error] {
	return func(yield func(api.CustomerCard, error) bool) {
		limit := pageSize
		query := api.AidCustomersCidCardsGetParams{Limit: &limit}
		for {
			page, err := call[[]api.CustomerCard](ctx, "", func(ctx context.Context) (*http.Response, error) {
				return c.api.AidCustomersCidCardsGet(ctx, c.account, customerID, &query)
			})
			if err != nil {
				yield(api.CustomerCard{}, err)
				return
			}
			for _, card := range *page {
				if !yield(card, nil) {
					return
				}
			}
			if len(*page) < limit {
				return
			}
			last := (*page)[len(*page)-1].ID.String()
			query.StartingAfter = &last
		}
	}
}
