package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	cards "github.com/kortwallet/kort/gen/api"
	api "github.com/kortwallet/kort/gen/sandbox"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

const (
	// unseeded is the snapshot that an account goes back to when it cannot be seeded. No name in a request is empty.
	unseeded = ""
	// seededBy is who makes what a seed has and the cards API has no way for.
	seededBy = "seed"
)

// SeedAccount implements the operation seed_account.
func (c *Control) SeedAccount(ctx context.Context, r api.SeedAccountRequestObject) (api.SeedAccountResponseObject, error) {
	if named := r.Body.Account; named != nil && *named != r.Aid {
		return nil, echo.NewHTTPError(http.StatusBadRequest, "/account: is not the account of the path")
	}
	var wrong *seedError
	err := c.Seed(ctx, r.Aid, r.Body)
	if errors.As(err, &wrong) {
		return nil, echo.NewHTTPError(http.StatusBadRequest, wrong.Error())
	}
	return api.SeedAccount204Response{}, err
}

// ReadSeed reads a seed from a file's contents, whose fault an error is.
func (c *Control) ReadSeed(file []byte) (*api.Seed, error) {
	var value any
	if err := json.Unmarshal(file, &value); err != nil {
		return nil, fmt.Errorf("is no JSON: %w", err)
	}
	if err := c.seeds.VisitJSON(value); err != nil {
		return nil, errors.New(reason(err))
	}
	seed := &api.Seed{}
	return seed, json.Unmarshal(file, seed)
}

// seedError is the fault of whoever wrote a seed.
type seedError struct {
	where string // a JSON pointer
	err   error
}

// Error implements error.
func (e *seedError) Error() string { return e.where + ": " + e.err.Error() }

// Unwrap implements what errors.Is and errors.As look for.
func (e *seedError) Unwrap() error { return e.err }

// Seed adds what a seed has to an account, all of it or nothing.
func (c *Control) Seed(ctx context.Context, account string, seed *api.Seed) error {
	token, err := c.Token(account)
	if err != nil {
		return err
	}
	s := &sower{c: c, account: account, token: token}
	return c.alone(account, func() error {
		if err := c.save(ctx, account, repository.Snapshot{Name: unseeded}); err != nil {
			return err
		}
		for i := range seed.Cards {
			if err := s.card(ctx, &seed.Cards[i], fmt.Sprintf("/cards/%d", i)); err != nil {
				return errors.Join(err, c.restore(ctx, account, unseeded), c.c.Testbed.Drop(ctx, account, unseeded))
			}
		}
		return c.c.Testbed.Drop(ctx, account, unseeded)
	})
}

// sower seeds an account, while nobody else uses it.
type sower struct {
	c              *Control
	account, token string
}

func (s *sower) card(ctx context.Context, card *api.SeedCard, where string) error {
	answer, err := s.post(ctx, "/cards", card.Card)
	if err != nil {
		return &seedError{where + "/card", err}
	}
	var made cards.CardCreated
	if err := json.Unmarshal(answer, &made); err != nil {
		return fmt.Errorf("decode a card that was made: %w", err)
	}
	if card.Pin != nil {
		if err := s.pin(ctx, made.CardID, cardcode.Secret(*card.Pin)); err != nil {
			return &seedError{where + "/pin", err}
		}
	}
	for i, token := range given(card.Tokens) {
		if token.RefID == nil {
			token.RefID = new(fmt.Sprintf("seed-%d", i+1))
		}
		if err := s.alias(ctx, made.CardID, token); err != nil {
			return &seedError{fmt.Sprintf("%s/tokens/%d", where, i), err}
		}
	}
	for i, txn := range given(card.Transactions) {
		if err := s.transaction(ctx, &made, txn); err != nil {
			return &seedError{fmt.Sprintf("%s/transactions/%d", where, i), err}
		}
	}
	return nil
}

// post has the cards API do something, past the log and the faults.
func (s *sower) post(ctx context.Context, path string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, cardsBase+"/accounts/"+s.account+"/wallets"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set(echo.HeaderAuthorization, "Bearer "+s.token)
	r.Header.Set(echo.HeaderContentType, jsonType)
	answer := newHeldAnswer()
	s.c.c.API.ServeHTTP(answer, r)
	return answer.body.Bytes(), answer.failure()
}

// transaction posts a transaction on a card, with the card's id and currency where it has none.
func (s *sower) transaction(ctx context.Context, card *cards.CardCreated, sent json.RawMessage) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(sent, &fields); err != nil {
		return errors.New("is no JSON object")
	}
	for name, value := range map[string]any{"card_id": card.CardID, "currency": card.Currency} {
		if _, set := fields[name]; set {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		fields[name] = text
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	_, err = s.post(ctx, "/transactions", body)
	return err
}

// pin gives a card a PIN of a chosen value.
func (s *sower) pin(ctx context.Context, cardID string, value cardcode.Secret) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	key := s.c.c.DataKeys.Current()
	_, err = s.c.c.Submit(ctx, s.account, &ledger.RotatePIN{ID: id, CardID: cardID, PINFor: func(card uuid.UUID) ledger.PIN {
		return ledger.PIN{KeyID: key.ID(), Hash: key.PINHash(s.account, card, value)}
	}})
	return err
}

// alias gives a card a token of a chosen value.
func (s *sower) alias(ctx context.Context, cardID string, token api.SeedToken) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	value, shape := cardcode.Secret(token.Value), shapeOf(token.Value)
	stored, err := json.Marshal(shape)
	if err != nil {
		return err
	}
	key := s.c.c.DataKeys.Current()
	candidate := ledger.TokenCandidate{Hash: key.TokenHash(s.account, value), Masked: cardcode.Mask(shape, value)}
	for _, other := range s.c.c.DataKeys.Others() {
		candidate.Others = append(candidate.Others, ledger.KeyedHash{KeyID: other.ID(), Hash: other.TokenHash(s.account, value)})
	}
	made := ledger.Token{
		ID: id, RefID: *token.RefID, KeyID: key.ID(), Shape: string(stored), SingleUse: true, ExpiresIn: given(token.ExpiresIn), CreatedBy: seededBy,
	}
	if token.ExpiresAfterTransaction != nil {
		made.SingleUse = *token.ExpiresAfterTransaction
	}
	_, err = s.c.c.Submit(ctx, s.account, &ledger.CreateToken{
		CardID: cardID, New: ledger.NewToken{Token: made, Candidates: []ledger.TokenCandidate{candidate}},
	})
	return err
}

// usual is what tokens look like unless something else is asked for.
var usual = regexp.MustCompile("^" + cardcode.DefaultTokenPrefix + "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")

// shapeOf is a shape that a chosen value could have been drawn from, as far as there is one. The mask depends on it.
func shapeOf(value string) cardcode.Shape {
	if usual.MatchString(value) {
		return cardcode.Shape{Prefix: cardcode.DefaultTokenPrefix, Length: len(value) - len(cardcode.DefaultTokenPrefix), UUID: true}
	}
	return cardcode.Shape{Length: len(value), Symbols: true, Numbers: true, Characters: true}
}
