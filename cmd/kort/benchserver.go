package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/bench"
	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// benchTokenTTL outlives any benchmark.
const benchTokenTTL = 7 * 24 * time.Hour

// benchServerCmd is the server that `kort bench` measures. It is the one of serve,
// with its default settings; only its log goes nowhere, but for what is wrong. The
// other kinds are what a part of it is compared with.
type benchServerCmd struct {
	config.BenchServer
}

// Run serves until stdin ends, which it does however the benchmark ends.
func (c *benchServerCmd) Run(ctx context.Context, term *terminal) (err error) {
	sink, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer func() { err = errors.Join(err, sink.Close()) }()
	profiles, err := c.profiles()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, profiles.finish()) }()
	// Writing a line for each request is part of the work that is measured.
	var log slog.Handler = slog.NewJSONHandler(sink, nil)
	if !c.Quiet {
		log = slog.NewMultiHandler(log, slog.NewTextHandler(term.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	s := newServer(c.Serve, slog.New(log))
	switch c.Kind {
	case "echo":
		return c.serveEcho(ctx, s, term.stdout)
	case "singly":
		s.submitter = func(s *server) submitFunc { return singly(s.store) }
	case "no-ledger":
		s.submitter = func(*server) submitFunc { return acceptAll }
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	if err := c.announce(s, term.stdout); err != nil {
		return stopped(ctx, s, err)
	}
	return stopped(ctx, s, untilStdinEnds(ctx, s.failed))
}

// untilStdinEnds returns nil when whoever started the server has ended, or what ended the
// server before.
func untilStdinEnds(ctx context.Context, failed <-chan error) error {
	left := make(chan struct{})
	go func() {
		defer close(left)
		_, _ = io.Copy(io.Discard, os.Stdin) // an error is an end as well
	}()
	select {
	case <-left:
		return nil
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	}
}

// announce says where the server listens, and hands out the tokens.
func (c *benchServerCmd) announce(s *server, out io.Writer) error {
	said := bench.Announcement{Addr: s.listener.Addr().String()}
	mint := func(account, subject string) (string, error) {
		return s.signingKeys.Mint(auth.Claims{
			Account: account, Issuer: s.identity.Issuer, AudienceBase: s.identity.AudienceBases[0],
			Subject: subject, Scopes: []string{auth.ScopeRead, auth.ScopeWrite}, TTL: benchTokenTTL,
		})
	}
	for i := range c.Tokens {
		token, err := mint(c.Account, fmt.Sprintf("till-%d", i))
		if err != nil {
			return err
		}
		said.Tokens = append(said.Tokens, token)
	}
	for i := range c.Accounts {
		token, err := mint(bench.Account(i+1), "till")
		if err != nil {
			return err
		}
		said.AccountTokens = append(said.AccountTokens, token)
	}
	if err := json.NewEncoder(out).Encode(said); err != nil {
		return fmt.Errorf("announce the server: %w", err)
	}
	return nil
}

// singly is the write path without a queue, a committer or a batch: the request's
// own goroutine does what a committer would do for this one operation. What a
// request costs more than this, group commit has added.
func singly(store *repository.Store) submitFunc {
	return func(ctx context.Context, account string, op ledger.Operation) (result ledger.Result, err error) {
		book := ledger.NewBook(account, clock(account))
		ops := []ledger.Operation{op}
		// As in the write path: no caller who leaves can cut a commit in two.
		ctx = context.WithoutCancel(ctx)
		err = store.Write(ctx, func(tx *repository.Tx) error {
			if err := tx.Load(ctx, account, book, ops); err != nil {
				return err
			}
			if result, err = book.Post(op); err != nil {
				return err
			}
			return tx.Save(ctx, account, book.Changes())
		})
		return result, err
	}
}

// acceptAll answers a transaction as if it were committed, so that nothing but the
// edge is left to be measured.
func acceptAll(_ context.Context, account string, op ledger.Operation) (ledger.Result, error) {
	asked, ok := op.(*ledger.Transact)
	if !ok {
		return ledger.Result{}, errors.New("this server takes transactions only")
	}
	const plenty = 1_000_000
	now := clock(account)
	card := ledger.Card{
		ID: uuid.UUID{1}, CardID: asked.CardID, Type: ledger.GiftCard, Amount: plenty, Currency: asked.Currency, Activated: true,
		Balance: ledger.Balance{Funds: plenty}, CreatedAt: now, CreatedBy: asked.By,
	}
	txn, refusal := ledger.Decide(now, ledger.State{Card: &card}, asked)
	if refusal != nil {
		return ledger.Result{}, refusal
	}
	return ledger.Result{Cards: []ledger.Card{card}, Txn: txn}, nil
}

// postedTransaction has the fields of the body that a till posts.
type postedTransaction struct {
	Type         string         `json:"type"`
	CardID       string         `json:"card_id"`
	Amount       int64          `json:"amount"`
	Currency     string         `json:"currency"`
	RefID        string         `json:"ref_id"`
	Pending      bool           `json:"pending"`
	OriginatedBy string         `json:"originated_by"`
	Metadata     map[string]any `json:"metadata"`
}

// madeTransaction has the fields of the answer to it.
type madeTransaction struct {
	ID           string         `json:"id"`
	Type         string         `json:"type"`
	Amount       int64          `json:"amount"`
	Currency     string         `json:"currency"`
	RefID        string         `json:"ref_id"`
	OriginatedBy string         `json:"originated_by"`
	Metadata     map[string]any `json:"metadata"`
	CreatedAt    string         `json:"created_at"`
	CreatedBy    string         `json:"created_by"`
}

// serveEcho serves the least that a POST can be with Echo: read the body, answer in
// JSON. It neither looks at the token nor logs.
func (c *benchServerCmd) serveEcho(ctx context.Context, s *server, out io.Writer) error {
	for _, step := range []func(context.Context) error{s.takeDirectory, s.listen, s.openKeys} { // for the tokens
		if err := step(ctx); err != nil {
			return stopped(ctx, s, err)
		}
	}
	e := echo.New()
	e.POST("/v1/accounts/:aid/wallets/transactions", func(c echo.Context) error {
		var posted postedTransaction
		if err := c.Bind(&posted); err != nil {
			return err
		}
		return c.JSON(http.StatusOK, madeTransaction{
			ID: "019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071", Type: posted.Type, Amount: posted.Amount, Currency: posted.Currency,
			RefID: posted.RefID, OriginatedBy: posted.OriginatedBy, Metadata: posted.Metadata,
			CreatedAt: time.Now().UTC().Format(time.RFC3339Nano), CreatedBy: "till",
		})
	})
	web := &http.Server{Handler: e, ReadHeaderTimeout: s.settings.ReadHeaderTimeout}
	go func() {
		if err := web.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.failed <- err
		}
	}()
	s.onStop(web.Shutdown)
	if err := c.announce(s, out); err != nil {
		return stopped(ctx, s, err)
	}
	return stopped(ctx, s, untilStdinEnds(ctx, s.failed))
}
