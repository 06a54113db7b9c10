package repository

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/kortwallet/kort/pkg/ledger"
)

// localDetails is CardDetails on SQLite, where to compile the two statements takes several
// times as long as to execute them.
func (s *Store) localDetails(ctx context.Context, account, cardID string, now ledger.Micros) (ledger.Card, []ledger.Token, error) {
	t := &s.texts
	var card ledger.Card
	found := false
	err := s.readPrepared(ctx, reading(t.liveCard.text, []any{account, cardID}, t.liveCard.columns, func(row *cardRow) (err error) {
		card, err = row.card()
		found = true
		return err
	}))
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return ledger.Card{}, nil, err
	}
	var tokens []ledger.Token
	err = s.readPrepared(ctx, reading(t.cardTokens.text, []any{account, card.ID.String(), int64(now)}, t.cardTokens.columns, func(row *tokenRow) error {
		tokens = append(tokens, row.token())
		return nil
	}))
	return card, tokens, err
}

// compiled are statements that every connection for reading keeps once it has needed them.
type compiled struct {
	mu         sync.Mutex
	statements map[string]*sql.Stmt
}

func (c *compiled) get(ctx context.Context, pool *sql.DB, text string) (*sql.Stmt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.statements[text]; known != nil {
		return known, nil
	}
	s, err := pool.PrepareContext(ctx, text) //nolint:sqlclosecheck // close does
	if err == nil {
		c.statements[text] = s
	}
	return s, err
}

// close ends the statements.
func (c *compiled) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var failures []error
	for _, s := range c.statements {
		failures = append(failures, s.Close())
	}
	clear(c.statements)
	return errors.Join(failures...)
}

// readPrepared executes a statement that reads a few rows by their keys. It is over too
// soon for the driver to watch whether the context ends.
func (s *Store) readPrepared(ctx context.Context, st statement) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	s.watched(st.text)
	known, err := s.compiled.get(ctx, s.read.DB, st.text) //nolint:sqlclosecheck // it is kept
	if err != nil {
		return classify(err)
	}
	rows, err := known.QueryContext(ctx, st.args...)
	if err != nil {
		return classify(err)
	}
	return classify(errors.Join(eachRow(rows, &st), rows.Close()))
}

func eachRow(rows *sql.Rows, st *statement) error {
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
