package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	api "github.com/kortwallet/kort/gen/client"
	"github.com/kortwallet/kort/openapi"
	"github.com/kortwallet/kort/pkg/audit"
	"github.com/kortwallet/kort/pkg/client"
	"github.com/kortwallet/kort/pkg/repository"
)

func pointer[T any](value T) *T { return &value }

// must ends the test at an error.
func must[A any](answer A, err error) func(*testing.T) A {
	return func(t *testing.T) A {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

func card(id string) api.CardCreate {
	return api.CardCreate{CardID: id, Amount: 10_000, Currency: api.CurrencyNOK, CustomerID: pointer("anna & co/1")}
}

func sale(cardID string, amount int64) api.TransactionCreate {
	return api.TransactionCreate{CardID: &cardID, Amount: amount, Currency: api.CurrencyNOK}
}

// A card from its creation to its deletion, with every call that there is.
func TestEveryCall(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c, ctx := s.client(t, nil), t.Context()
		const id = "a card/with 100%"
		created := must(c.CreateCard(ctx, card(id)))(t)
		token := must(c.CreateToken(ctx, id, api.TokenCreate{ExpiresIn: 60, ExpiresAfterTransaction: pointer(false)}))(t)
		if found := must(c.CardByToken(ctx, api.TokenCode{Token: token.Token.Value}))(t); found.ID != created.ID {
			t.Errorf("the token finds %+v", found)
		}
		if pin := must(c.RotatePIN(ctx, id, api.PinRotate{}))(t); pin.Pin.Pin.Value == "" {
			t.Errorf("there is no PIN in %+v", pin)
		}
		hold := must(c.Transact(ctx, api.TransactionCreate{
			Token: &token.Token.Value, Amount: 1000, Currency: api.CurrencyNOK, Pending: pointer(true),
		}))(t)
		taken := must(c.Capture(ctx, hold.ID, api.CaptureBody{Amount: pointer(int64(300))}))(t)
		released := must(c.Void(ctx, hold.ID, api.VoidBody{RefID: "chosen"}))(t)
		if taken.Amount != 300 || released.Amount != 700 || released.RefID != "chosen" {
			t.Errorf("captured %+v, released %+v", taken, released)
		}
		if _, err := uuid.Parse(taken.RefID); err != nil || taken.RefID == hold.RefID {
			t.Errorf("the ref_ids are %q and %q", hold.RefID, taken.RefID)
		}
		if history := must(c.Transactions(ctx, id))(t); len(history) != 4 {
			t.Errorf("the history is %+v", history)
		}
		if mine := must(c.CustomerCard(ctx, "anna & co/1", id))(t); mine.AmountBalance != 9700 {
			t.Errorf("the customer has %+v", mine)
		}
		batch := must(c.CreateBatch(ctx, api.BatchCreate{Cards: []api.BatchCard{{CardID: "b"}, {CardID: "a"}}}))(t)
		if len(batch) != 2 || batch[0].CardID != "b" {
			t.Errorf("the batch is %+v", batch)
		}
		if active := must(c.ActivateCard(ctx, "a", api.CardActivate{Amount: 5, Currency: api.CurrencySEK}))(t); active.AmountBalance != 5 {
			t.Errorf("activated is %+v", active)
		}
		if gone := must(c.DeleteCard(ctx, id))(t); gone.DeletedAt == nil {
			t.Errorf("deleted is %+v", gone)
		}
		if _, err := c.Card(ctx, id); !errors.Is(err, client.NotFound) {
			t.Errorf("a deleted card: %v", err)
		}
		if rest := must(c.Card(ctx, "b"))(t); rest.Status != api.CardStatusInactive {
			t.Errorf("another card: %+v", rest)
		}
	})
}

// Whatever happens to requests and answers, each call is in the books once.
func TestEachCallIsDoneOnce(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		patient := s.client(t, func(c *client.Config) { c.MaxTries, c.MaxWait = 100, 20*time.Millisecond })
		must(patient.CreateCard(t.Context(), card("busy")))(t)
		s.mu.Lock()
		s.endless = true
		s.mishaps = []mishap{
			lost, passed, answered(503, "overloaded", ""), cut, passed, answered(429, "rate_limited", ""), disowned,
			answered(502, "", ""), passed, lost, lost, passed, passed,
		}
		s.mu.Unlock()
		const tills, sales = 4, 5
		var group sync.WaitGroup
		for range tills {
			group.Go(func() {
				for range sales {
					hold, err := patient.Transact(t.Context(), func() api.TransactionCreate {
						txn := sale("busy", 100)
						txn.Pending = pointer(true)
						return txn
					}())
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := patient.Capture(t.Context(), hold.ID, api.CaptureBody{Amount: pointer(int64(60))}); err != nil {
						t.Error(err)
					}
					if _, err := patient.Void(t.Context(), hold.ID, api.VoidBody{}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		s.meets()
		got := must(patient.Card(t.Context(), "busy"))(t)
		if got.AmountBalance != 10_000-tills*sales*60 || got.AmountReserved != 0 {
			t.Errorf("the card has %d, %d of it locked", got.AmountBalance, got.AmountReserved)
		}
		if history := must(patient.Transactions(t.Context(), "busy"))(t); len(history) != 1+tills*sales*3 {
			t.Errorf("there are %d transactions", len(history))
		}
		store := must(repository.Open(t.Context(), s.database.Options))(t) // whose statements may be about all accounts
		defer store.Close()
		if report := must(audit.Verify(t.Context(), store, audit.Options{}))(t); !report.OK() || report.Transactions == 0 {
			t.Errorf("the audit says %+v", report)
		}
	})
}

func TestWhatIsRepeated(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c := s.client(t, nil)
		must(c.CreateCard(t.Context(), card("a")))(t)
		for name, test := range map[string]struct {
			mishap mishap
			want   int // requests
		}{
			"nothing":             {passed, 1},
			"no answer":           {lost, 2},
			"half an answer":      {cut, 2},
			"overloaded":          {answered(503, "overloaded", ""), 2},
			"broken":              {answered(500, "internal", ""), 2},
			"a proxy":             {answered(502, "", ""), 2},
			"a slow proxy":        {answered(504, "", ""), 2},
			"too many requests":   {answered(429, "rate_limited", ""), 2},
			"a locked PIN":        {answered(429, "pin_locked", "900"), 1},
			"a shortly locked":    {answered(429, "pin_locked", "1"), 1},
			"a long wait":         {answered(503, "overloaded", "31"), 1},
			"a refusal":           {answered(409, "card_expired", ""), 1},
			"no access":           {answered(401, "unauthorized", ""), 1},
			"a redirect":          {answered(307, "", ""), 1},
			"nonsense for a wait": {answered(503, "overloaded", "soon"), 2},
		} {
			s.meets(test.mishap)
			if _, err := c.Transact(t.Context(), sale("a", 1)); (err == nil) != (test.want == 2 || name == "nothing") {
				t.Errorf("%s: %v", name, err)
			}
			if got := s.sent(); got != test.want {
				t.Errorf("%s: %d requests, want %d", name, got, test.want)
			}
		}
	})
}

func TestTriesEnd(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c := s.client(t, func(c *client.Config) { c.MaxTries = 3 })
		must(c.CreateCard(t.Context(), card("a")))(t)
		busy := answered(503, "overloaded", "")
		s.meets(slices.Repeat([]mishap{busy}, 3)...)
		_, err := c.Transact(t.Context(), sale("a", 1))
		var refused *client.Error
		if !errors.As(err, &refused) || refused.Code != client.Overloaded || refused.Status != 503 || refused.RefID == "" || s.sent() != 3 {
			t.Errorf("after %d requests: %v", s.sent(), err)
		}
		s.meets(slices.Repeat([]mishap{lost}, 3)...)
		_, err = c.Transact(t.Context(), sale("a", 1))
		var silent *client.NoAnswerError
		if !errors.As(err, &silent) || !silent.Sent || silent.RefID == "" || s.sent() != 3 {
			t.Errorf("after %d requests: %v", s.sent(), err)
		}
		again := sale("a", 1)
		again.RefID = silent.RefID
		must(c.Transact(t.Context(), again))(t)
		if history := must(c.Transactions(t.Context(), "a"))(t); len(history) != 2 { // the busy ones never came that far
			t.Errorf("the history is %+v", history)
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c := s.client(t, nil)
		must(c.CreateCard(t.Context(), card("a")))(t)
		s.meets(answered(503, "overloaded", "1"))
		begin := time.Now()
		must(c.Transact(t.Context(), sale("a", 1)))(t)
		if waited := time.Since(begin); waited < time.Second || waited > 10*time.Second {
			t.Errorf("waited %s", waited)
		}
		s.meets(answered(503, "overloaded", "20"))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		begin = time.Now()
		_, err := c.Transact(ctx, sale("a", 1))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 10*time.Second || s.sent() != 1 {
			t.Errorf("a call that may not wait so long: %v", err)
		}
	})
}

// The second try of a creation finds the card of the first: the error says that this may be so.
func TestUncertainRefusals(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c := s.client(t, nil)
		want := func(err error, code client.Code, uncertain bool) {
			t.Helper()
			var refused *client.Error
			if !errors.As(err, &refused) || refused.Code != code || refused.Uncertain != uncertain {
				t.Errorf("got %+v, want %s", err, code)
			}
		}
		for i, mishap := range []mishap{lost, cut, disowned} {
			id := fmt.Sprint("card", i)
			s.meets(mishap)
			_, err := c.CreateCard(t.Context(), card(id))
			want(err, client.CardExists, true)
			_, err = c.CreateCard(t.Context(), card(id))
			want(err, client.CardExists, false)
			s.meets(mishap)
			_, err = c.DeleteCard(t.Context(), id)
			want(err, client.NotFound, true)
		}
		must(c.CreateCard(t.Context(), card("a")))(t)
		s.meets(answered(429, "rate_limited", "")) // which is before anything is done
		_, err := c.CreateCard(t.Context(), card("a"))
		want(err, client.CardExists, false)
	})
}

func TestErrors(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c := s.client(t, nil)
		created := must(c.CreateCard(t.Context(), card("a")))(t)
		_, err := c.CreateCard(t.Context(), card("a"))
		var refused *client.Error
		if !errors.As(err, &refused) || refused.Status != http.StatusConflict || refused.Message == "" || refused.RequestID == "" ||
			len(refused.Items) != 1 || *refused.Items[0].ExistingID != created.ID {
			t.Errorf("got %+v", err)
		}
		if !errors.Is(err, client.CardExists) || errors.Is(err, client.NotFound) || errors.Is(err, client.Code("")) {
			t.Error("it is another code")
		}
		first := sale("a", 5)
		first.RefID = "mine"
		must(c.Transact(t.Context(), first))(t)
		first.Amount++
		if _, err = c.Transact(t.Context(), first); !errors.Is(err, client.RefIDConflict) {
			t.Errorf("got %v", err)
		}
		_, err = c.Transact(t.Context(), sale("a", 1_000_000))
		if !errors.Is(fmt.Errorf("pay: %w", err), client.InsufficientFunds) {
			t.Errorf("got %v", err)
		}
		stranger := s.client(t, func(c *client.Config) { c.Token = client.StaticToken("none") })
		if _, err = stranger.Card(t.Context(), "a"); !errors.Is(err, client.Unauthorized) {
			t.Errorf("got %v", err)
		}
		s.meets(answered(404, "", ""))
		if _, err = c.Card(t.Context(), "a"); !errors.As(err, &refused) || refused.Code != "" || strings.Contains(err.Error(), "html") {
			t.Errorf("got %v", err)
		}
		noToken := errors.New("the issuer is away")
		tokenless := s.client(t, func(c *client.Config) { c.Token = func(context.Context) (string, error) { return "", noToken } })
		s.meets()
		_, err = tokenless.Card(t.Context(), "a")
		var silent *client.NoAnswerError
		if !errors.Is(err, noToken) || !errors.As(err, &silent) || silent.Sent || s.sent() != 0 {
			t.Errorf("without a token: %v after %d requests", err, s.sent())
		}
	})
}

// Pages come one by one, and no card is missing or comes twice.
func TestPages(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c := s.client(t, nil)
		var want []string
		for i := range 205 {
			want = append(want, fmt.Sprint("card", i))
			must(c.CreateCard(t.Context(), card(want[i])))(t)
		}
		slices.Reverse(want) // the newest first
		var got []string
		s.meets(passed, lost)
		for card, err := range c.Cards(t.Context(), api.AidCardsGetParams{}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, card.CardID)
		}
		if !slices.Equal(got, want) || s.sent() != 4 {
			t.Errorf("%d cards in %d requests", len(got), s.sent())
		}
		got = nil
		walk := c.CustomerCards(t.Context(), "anna & co/1")
		for card, err := range walk {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, card.CardID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d cards of the customer", len(got))
		}
		for card, err := range walk { // from the beginning, and not further than asked for
			if err != nil || card.CardID != want[0] {
				t.Errorf("the walk begins again with %v and %v", card.CardID, err)
			}
			s.meets()
			break
		}
		if s.sent() != 0 {
			t.Error("a page was read ahead")
		}
		got = nil
		for card, err := range c.Cards(t.Context(), api.AidCardsGetParams{Search: pointer("card20"), Limit: pointer(2)}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, card.CardID)
		}
		if !slices.Equal(got, []string{"card204", "card203", "card202", "card201", "card200", "card20"}) {
			t.Errorf("found %v", got)
		}
		failures := 0
		for card, err := range c.Cards(t.Context(), api.AidCardsGetParams{StartingAfter: pointer("unknown")}) {
			if !errors.Is(err, client.InvalidRequest) || card.CardID != "" {
				t.Errorf("got %v and %v", card, err)
			}
			failures++
		}
		if failures != 1 {
			t.Errorf("%d errors, want 1", failures)
		}
	})
}

func TestWrongConfigs(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*client.Config){
		"no URL":          func(c *client.Config) { c.URL = "" },
		"not http":        func(c *client.Config) { c.URL = "ftp://cards.example.com" },
		"with a query":    func(c *client.Config) { c.URL = "https://cards.example.com?a=b" },
		"no account":      func(c *client.Config) { c.Account = "" },
		"not an account":  func(c *client.Config) { c.Account = "X12345678" },
		"no token":        func(c *client.Config) { c.Token = nil },
		"no tries":        func(c *client.Config) { c.MaxTries = -1 },
		"a negative wait": func(c *client.Config) { c.MaxWait = -1 },
	} {
		config := client.Config{URL: "https://cards.example.com", Account: account, Token: client.StaticToken("t")}
		if _, err := client.New(config); err != nil {
			t.Fatal(err)
		}
		change(&config)
		if _, err := client.New(config); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// Every code of the contract has a constant, and no other.
func TestCodesAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	codes := []client.Code{
		client.InvalidRequest, client.Unauthorized, client.Forbidden, client.InvalidPIN, client.NotFound, client.MethodNotAllowed,
		client.RequestTooLarge, client.UnsupportedMediaType, client.CardExists, client.RefIDConflict, client.CurrencyMismatch,
		client.InsufficientFunds, client.CardExpired, client.CardNotActiveYet, client.CardInactive, client.CardAlreadyActive,
		client.CardHasPending, client.TokenUsed, client.TokenSpaceExhausted, client.TransactionNotPending,
		client.AmountExceedsReserved, client.AmountOverflow, client.PINLocked, client.RateLimited, client.Internal, client.Overloaded,
	}
	_, list, _ := strings.Cut(string(openapi.KortYAML), "\n    ErrorCode:\n")
	var want []client.Code
	for line := range strings.Lines(list) {
		if code, found := strings.CutPrefix(strings.TrimSpace(line), "- "); found {
			want = append(want, client.Code(code))
		}
	}
	slices.Sort(codes)
	slices.Sort(want)
	if !slices.Equal(codes, want) {
		t.Errorf("the codes are %v, want %v", codes, want)
	}
}
