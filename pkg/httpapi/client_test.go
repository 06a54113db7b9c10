package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/kortwallet/kort/gen/client"
)

// pointer is the address of a value, which the generated types want for what may be
// left out.
func pointer[T any](value T) *T { return &value }

// mustSucceed reads the answer of a generated method, which says that it was a 200.
func mustSucceed[A any](t *testing.T, answer A, status *http.Response, err error) A {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if status.StatusCode != http.StatusOK {
		t.Fatalf("got %s", status.Status)
	}
	return answer
}

// The generated client takes a card from its creation to its deletion.
func TestGeneratedClient(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		token := s.mint(t, claims(a.id))
		c, err := client.NewClientWithResponses(s.url+"/v1", client.WithRequestEditorFn(
			func(_ context.Context, r *http.Request) error {
				r.Header.Set("Authorization", "Bearer "+token)
				return nil
			}))
		if err != nil {
			t.Fatal(err)
		}
		const cardID = "a card/with 100%"
		created, err := c.AidCardsPostWithResponse(t.Context(), a.id, client.CardCreate{
			CardID: cardID, Amount: 10_000, Currency: client.CurrencyNOK, CustomerID: pointer("customer"),
		})
		card := mustSucceed(t, created, created.HTTPResponse, err).JSON200
		made, err := c.AidCardsCardidTokenPostWithResponse(t.Context(), a.id, cardID, client.TokenCreate{RefID: "token", ExpiresIn: 60})
		value := mustSucceed(t, made, made.HTTPResponse, err).JSON200.Token.Value

		found, err := c.AidCardsTokenPostWithResponse(t.Context(), a.id, client.TokenCode{Token: value})
		if got := mustSucceed(t, found, found.HTTPResponse, err).JSON200; got.ID != card.ID || got.AmountAvailable != 10_000 {
			t.Errorf("the token finds %+v", got)
		}
		locked, err := c.AidCardsTransactionsPostWithResponse(t.Context(), a.id, client.TransactionCreate{
			RefID: "lock", Amount: 1000, Currency: client.CurrencyNOK, Token: &value, Pending: pointer(true),
		})
		hold := mustSucceed(t, locked, locked.HTTPResponse, err).JSON200
		taken, err := c.AidCardsCardidTransactionsCapturePostWithResponse(t.Context(), a.id, hold.ID, client.CaptureBody{
			RefID: "take", Amount: pointer(int64(300)),
		})
		if got := mustSucceed(t, taken, taken.HTTPResponse, err).JSON200; *got.ParentID != hold.ID {
			t.Errorf("the capture is %+v", got)
		}
		released, err := c.AidCardsCardidTransactionsVoidPostWithResponse(t.Context(), a.id, hold.ID, client.VoidBody{RefID: "release"})
		if got := mustSucceed(t, released, released.HTTPResponse, err).JSON200; got.Amount != 700 {
			t.Errorf("the void is %+v", got)
		}
		listed, err := c.AidCardsCardidTransactionsTidGetWithResponse(t.Context(), a.id, cardID)
		if got := *mustSucceed(t, listed, listed.HTTPResponse, err).JSON200; len(got) != 4 {
			t.Errorf("there are %d transactions, want 4", len(got))
		}
		page, err := c.AidCardsGetWithResponse(t.Context(), a.id, &client.AidCardsGetParams{
			Search: pointer("100%"), AmountBalance: pointer(int64(9700)), Currency: &[]client.Currency{client.CurrencyNOK, client.CurrencySEK},
		})
		if got := mustSucceed(t, page, page.HTTPResponse, err).JSON200; len(got.Cards) != 1 || got.StartingAfter != nil {
			t.Errorf("the list is %+v", got)
		}
		mine, err := c.AidCustomersCidCardsGetWithResponse(t.Context(), a.id, "customer", nil)
		if got := *mustSucceed(t, mine, mine.HTTPResponse, err).JSON200; len(got) != 1 {
			t.Errorf("the customer has %+v", got)
		}
		gone, err := c.AidCardsCardidDeleteWithResponse(t.Context(), a.id, cardID)
		if got := mustSucceed(t, gone, gone.HTTPResponse, err).JSON200; got.DeletedAt == nil || got.AmountBalance != 9700 {
			t.Errorf("the deleted card is %+v", got)
		}
		missing, err := c.AidCardsCardidGetWithResponse(t.Context(), a.id, cardID)
		if err != nil {
			t.Fatal(err)
		}
		if missing.JSON404 == nil || fmt.Sprint(missing.JSON404.Error.Code) != "not_found" {
			t.Errorf("a deleted card gets %s", missing.Body)
		}
	})
}
