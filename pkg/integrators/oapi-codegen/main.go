// Command oapi-codegen takes the Go client that oapi-codegen generates through one scenario against a sandbox, as the
// scenarios beside it do for other generators: a card from its creation to its deletion.
//
// Usage: oapi-codegen URL ACCOUNT TOKEN. It prints a line of JSON for each step that is done.
//
// Non-goal: it tests no rule of the server; others do. The surprising decision: it is a command and not a test, since
// it needs a server that it does not start.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/gen/client"
)

// awkwardID is a path segment and a query value that only comes through where everything is escaped that has to be.
const awkwardID = "a card/with 100% + å?&=#"

// timeout bounds the whole scenario.
const timeout = time.Minute

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // cancel has nothing left to do
	}
}

// scenario is what its steps tell each other.
type scenario struct {
	client  *client.ClientWithResponses
	account string

	cardID, holdID uuid.UUID
	value          string
}

func run(ctx context.Context, args []string) error {
	if len(args) != 3 { //nolint:mnd // as the usage says
		return errors.New("usage: oapi-codegen URL ACCOUNT TOKEN")
	}
	bearer := func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+args[2])
		return nil
	}
	made, err := client.NewClientWithResponses(args[0], client.WithRequestEditorFn(bearer))
	if err != nil {
		return err
	}
	s := &scenario{client: made, account: args[1]}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"create", s.create}, {"token", s.token}, {"info", s.info}, {"pending", s.pending}, {"capture", s.capture},
		{"void", s.void}, {"list", s.list}, {"delete", s.delete},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		if err := json.NewEncoder(os.Stdout).Encode(map[string]string{"step": step.name}); err != nil {
			return err
		}
	}
	return nil
}

// unlike says that an answer is not what it should be.
func unlike(body []byte) error { return fmt.Errorf("got %s", body) }

func pointer[T any](value T) *T { return &value }

func (s *scenario) create(ctx context.Context) error {
	got, err := s.client.AidCardsPostWithResponse(ctx, s.account, client.CardCreate{
		CardID: awkwardID, Amount: 10_000, Currency: client.CurrencyNOK, CustomerID: pointer(awkwardID),
		Metadata: &client.Metadata{"order": "1"},
	})
	if err != nil {
		return err
	}
	if card := got.JSON200; card == nil || card.AmountAvailable != 10_000 || card.CardID != awkwardID {
		return unlike(got.Body)
	}
	s.cardID = got.JSON200.ID
	return nil
}

func (s *scenario) token(ctx context.Context) error {
	got, err := s.client.AidCardsCardidTokenPostWithResponse(ctx, s.account, awkwardID, client.TokenCreate{
		RefID: "token", ExpiresIn: 3600, ExpiresAfterTransaction: pointer(false),
	})
	if err != nil {
		return err
	}
	if got.JSON200 == nil || got.JSON200.Token == nil {
		return unlike(got.Body)
	}
	s.value = got.JSON200.Token.Value
	return nil
}

func (s *scenario) info(ctx context.Context) error {
	got, err := s.client.AidCardsTokenPostWithResponse(ctx, s.account, client.TokenCode{Token: s.value})
	if err != nil {
		return err
	}
	if got.JSON200 == nil || got.JSON200.ID != s.cardID {
		return unlike(got.Body)
	}
	return nil
}

func (s *scenario) pending(ctx context.Context) error {
	for _, replayed := range []string{"", "true"} {
		got, err := s.client.AidCardsTransactionsPostWithResponse(ctx, s.account, client.TransactionCreate{
			RefID: "hold", Token: &s.value, Amount: 1000, Currency: client.CurrencyNOK, Pending: pointer(true),
		})
		if err != nil {
			return err
		}
		hold := got.JSON200
		if hold == nil || hold.Type != client.TransactionTypePendingCapture ||
			got.HTTPResponse.Header.Get("Idempotency-Replayed") != replayed || replayed != "" && hold.ID != s.holdID {
			return unlike(got.Body)
		}
		s.holdID = hold.ID
	}
	return nil
}

func (s *scenario) capture(ctx context.Context) error {
	got, err := s.client.AidCardsCardidTransactionsCapturePostWithResponse(ctx, s.account, s.holdID, client.CaptureBody{
		RefID: "part", Amount: pointer(int64(300)),
	})
	if err != nil {
		return err
	}
	if txn := got.JSON200; txn == nil || txn.Amount != 300 || txn.ParentID == nil || *txn.ParentID != s.holdID {
		return unlike(got.Body)
	}
	return nil
}

func (s *scenario) void(ctx context.Context) error {
	got, err := s.client.AidCardsCardidTransactionsVoidPostWithResponse(ctx, s.account, s.holdID, client.VoidBody{RefID: "rest"})
	if err != nil {
		return err
	}
	if txn := got.JSON200; txn == nil || txn.Amount != 700 || txn.Type != client.TransactionTypeVoided {
		return unlike(got.Body)
	}
	return nil
}

func (s *scenario) list(ctx context.Context) error {
	cards, err := s.client.AidCardsGetWithResponse(ctx, s.account, &client.AidCardsGetParams{
		Search: pointer(awkwardID), Currency: &[]client.Currency{client.CurrencySEK, client.CurrencyNOK},
		AmountBalanceGte: pointer(int64(9700)), CreatedAtGte: pointer("2020-01-01"), Limit: pointer(1),
	})
	if err != nil {
		return err
	}
	if cards.JSON200 == nil || len(cards.JSON200.Cards) != 1 || cards.JSON200.Cards[0].ID != s.cardID {
		return unlike(cards.Body)
	}
	mine, err := s.client.AidCustomersCidCardsGetWithResponse(ctx, s.account, awkwardID, nil)
	if err != nil {
		return err
	}
	if mine.JSON200 == nil || len(*mine.JSON200) != 1 {
		return unlike(mine.Body)
	}
	history, err := s.client.AidCardsCardidTransactionsTidGetWithResponse(ctx, s.account, awkwardID)
	if err != nil {
		return err
	}
	if history.JSON200 == nil || len(*history.JSON200) != 4 {
		return unlike(history.Body)
	}
	return nil
}

func (s *scenario) delete(ctx context.Context) error {
	deleted, err := s.client.AidCardsCardidDeleteWithResponse(ctx, s.account, awkwardID)
	if err != nil {
		return err
	}
	if deleted.JSON200 == nil || deleted.JSON200.DeletedAt == nil {
		return unlike(deleted.Body)
	}
	missing, err := s.client.AidCardsCardidGetWithResponse(ctx, s.account, awkwardID)
	if err != nil {
		return err
	}
	if missing.JSON404 == nil || missing.JSON404.Error.Code != client.ErrorCodeNotFound {
		return unlike(missing.Body)
	}
	return nil
}
