package client_test

import (
	"context"
	"errors"
	"fmt"

	api "github.com/kortwallet/kort/gen/client"
	"github.com/kortwallet/kort/pkg/client"
)

func Example() {
	kort, err := client.New(client.Config{
		URL: "https://cards.example.com", Account: "T12345678", Token: client.StaticToken("eyJ..."),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	id := "gift-1"
	_, err = kort.Transact(ctx, api.TransactionCreate{CardID: &id, Amount: 2500, Currency: api.CurrencyNOK})
	var silent *client.NoAnswerError
	switch {
	case errors.Is(err, client.InsufficientFunds):
		fmt.Println("not enough money on the card")
	case errors.As(err, &silent):
		fmt.Println("ask again under", silent.RefID)
	}
	for card, err := range kort.Cards(ctx, api.AidCardsGetParams{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(card.CardID, card.AmountAvailable)
	}
}
