package repository

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// To compile a statement that finds a card takes SQLite several times as long as to
// execute it, so those that tills wait for stay compiled.

// localTokens is Tokens on SQLite.
func (s *Store) localTokens(ctx context.Context, account string, card uuid.UUID, now ledger.Micros) ([]ledger.Token, error) {
	tokens, l := []ledger.Token{}, &s.texts.cardTokens
	err := s.readPrepared(ctx, reading(l.text, []any{account, card.String(), int64(now)}, l.columns, func(row *tokenRow) error {
		tokens = append(tokens, row.token())
		return nil
	}))
	return tokens, err
}

// localCardByToken is CardByToken on SQLite.
func (s *Store) localCardByToken(ctx context.Context, account string, now ledger.Micros, hashes []string) (ledger.Card, error) {
	args, err := s.dialect.arguments(account, textTable(hashColumns, hashes))
	if err != nil {
		return ledger.Card{}, err
	}
	return s.localCard(ctx, &s.texts.tokenCard, append(args, int64(now))...)
}

// localCard reads the card that a statement finds, or returns [ErrNotFound].
func (s *Store) localCard(ctx context.Context, l *lookup, args ...any) (card ledger.Card, err error) {
	found := false
	err = s.readPrepared(ctx, reading(l.text, args, l.columns, func(row *cardRow) (err error) {
		card, err = row.card()
		found = true
		return err
	}))
	if err == nil && !found {
		err = ErrNotFound
	}
	return card, err
}

// compiled are statements that every connection for reading keeps once it has needed them;
// they end with it.
type compiled struct {
	mu         sync.Mutex
	statements map[string]*sql.Stmt
}

func (c *compiled) get(ctx context.Context, pool *sql.DB, text string) (*sql.Stmt, error) {
	c.mu.Lock()
	known := c.statements[text]
	c.mu.Unlock()
	if known != nil {
		return known, nil
	}
	s, err := pool.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.statements[text]; known != nil { // another was first
		return known, s.Close()
	}
	c.statements[text] = s
	return s, nil
}

// readPrepared executes a statement that reads a few rows by their keys.
func (s *Store) readPrepared(ctx context.Context, st statement) error {
	s.watched(st.text)
	known, err := s.compiled.get(ctx, s.read.DB, st.text) //nolint:sqlclosecheck // it is kept
	if err != nil {
		return classify(err)
	}
	rows, err := known.QueryContext(ctx, st.args...)
	if err != nil {
		return classify(err)
	}
	return classify(eachRow(rows, &st))
}

func eachRow(rows *sql.Rows, st *statement) (err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	values, places := make([]any, len(st.targets)), make([]any, len(st.targets))
	for i := range values {
		places[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(places...); err != nil {
			return err
		}
		for i, value := range values {
			if err := assign(st.targets[i], value); err != nil {
				return err
			}
		}
		if err := st.each(); err != nil {
			return err
		}
	}
	return rows.Err()
}
