package repository

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/kortwallet/kort/pkg/ledger"
)

// Card finds a live card by the retailer's id, or returns [ErrNotFound].
func (s *Store) Card(ctx context.Context, account, cardID string) (ledger.Card, error) {
	if !s.dialect.postgres {
		return s.localCard(ctx, &s.texts.liveCard, account, cardID)
	}
	return s.card(ctx, account, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("c.card_id = ?", cardID)
	})
}

// CustomerCard finds a live card of a customer, or returns [ErrNotFound].
func (s *Store) CustomerCard(ctx context.Context, account, customerID, cardID string) (ledger.Card, error) {
	return s.card(ctx, account, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("c.card_id = ?", cardID).Where("c.customer_id = ?", customerID)
	})
}

// CardByToken finds the live card of a token that has not expired, or returns
// [ErrNotFound]. The hashes are those of its value, one for each data key. The same is
// executed in all cases, so that an unknown, an expired and a foreign token take the same
// time, and so does one of an older key.
func (s *Store) CardByToken(ctx context.Context, account string, now ledger.Micros, hashes ...string) (ledger.Card, error) {
	if s.details == nil {
		return s.localCardByToken(ctx, account, now, hashes)
	}
	card, _, err := s.details.find(ctx, detailQueue{account: account, byToken: true}, &detail{hashes: hashes, now: now})
	return card, err
}

func (s *Store) card(ctx context.Context, account string, where func(*bun.SelectQuery) *bun.SelectQuery) (ledger.Card, error) {
	var row cardRow
	query := s.read.NewSelect().Model(&row).
		Where("c.account_id = ?", account).Where("c.deleted_at IS NULL").Apply(where)
	if err := s.onWorkingConns(ctx, func() error { return classify(query.Scan(ctx)) }); err != nil { // overwrites the whole row
		return ledger.Card{}, err
	}
	return row.card()
}

// Tokens lists a card's tokens that have not expired, oldest first.
func (s *Store) Tokens(ctx context.Context, account string, card uuid.UUID, now ledger.Micros) ([]ledger.Token, error) {
	if !s.dialect.postgres {
		return s.localTokens(ctx, account, card, now)
	}
	var rows []tokenRow
	err := s.onWorkingConns(ctx, func() error {
		rows = nil
		return classify(s.read.NewSelect().Model(&rows).
			Where("k.account_id = ?", account).Where("k.card_object_id = ?", card).
			Where("k.expires_at IS NULL OR k.expires_at > ?", int64(now)).
			Order("k.id").Scan(ctx))
	})
	if err != nil {
		return nil, err
	}
	tokens := make([]ledger.Token, 0, len(rows))
	for i := range rows {
		tokens = append(tokens, rows[i].token())
	}
	return tokens, nil
}

// Transactions lists up to limit transactions of a card object after a seq, in
// the order in which they happened. Nothing stays open in the database between
// two calls.
func (s *Store) Transactions(
	ctx context.Context, account string, card uuid.UUID, afterSeq int64, limit int,
) (txns []ledger.Transaction, err error) {
	err = s.onWorkingConns(ctx, func() (err error) {
		txns, err = s.transactions(ctx, account, card, afterSeq, limit)
		return err
	})
	return txns, err
}

func (s *Store) transactions(
	ctx context.Context, account string, card uuid.UUID, afterSeq int64, limit int,
) (txns []ledger.Transaction, err error) {
	conn, err := s.read.DB.Conn(ctx)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { err = errors.Join(err, classify(conn.Close())) }()
	reader := rowReader{store: s, conn: conn}
	const text = "SELECT " + txnFields + ` FROM transactions AS t WHERE t.account_id = $1 AND t.card_object_id = $2 AND t.seq > $3 ORDER BY t.seq LIMIT $4`
	var corrupt error
	var row TxnRecord
	txns = make([]ledger.Transaction, 0, limit)
	err = reader.page(ctx, text, txnColumns, func(f *fields) {
		if row.read(f); len(f.defects) > 0 {
			corrupt = fmt.Errorf("transaction %s: %s: %w", row.Key, f.defects[0], ledger.ErrCorrupt)
		}
		txns = append(txns, row.Txn)
	}, account, card.String(), afterSeq, int64(limit))
	if err := errors.Join(err, corrupt); err != nil {
		return nil, err
	}
	return txns, nil
}

// onWorkingConns begins to read anew in place of a try on a connection that a restart
// of the database has cut off: each in the pool may have been.
func (s *Store) onWorkingConns(ctx context.Context, try func() error) error {
	for dead := 0; ; dead++ {
		err := try()
		if ctx.Err() != nil || !cutOff(err) || dead >= s.read.Stats().MaxOpenConnections {
			return err
		}
	}
}
