package repository

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// CardEnd is a place in the history of a card after which an audit reads on.
type CardEnd struct {
	Card uuid.UUID
	Seq  int64
}

// endTable makes a table argument of places.
func endTable(ends []CardEnd) table {
	t := table{columns: []column{{name: "id", pgType: uuidType}, {name: "seq", pgType: bigintType}}}
	for _, end := range ends {
		t.rows = append(t.rows, []any{end.Card, end.Seq})
	}
	return t
}

// EndRecord is what is stored at a place, and behind it.
type EndRecord struct {
	Key    string // the id of the transaction there; empty when there is none
	Digest ledger.Digest
	Last   int64 // the highest seq of the card; 0 when it has no transactions
}

// Ends looks up places in the histories of cards, by card key.
func (a *AuditReader) Ends(ctx context.Context, account string, ends []CardEnd) (map[string]EndRecord, error) {
	const columns = 4
	found := make(map[string]EndRecord, len(ends))
	err := a.join(ctx, columns, `SELECT r.id, t.id, t.digest,
		(SELECT max(m.seq) FROM transactions AS m WHERE m.account_id = $1 AND m.card_object_id = r.id)
		FROM %s LEFT JOIN transactions AS t ON t.account_id = $1 AND t.card_object_id = r.id AND t.seq = r.seq`,
		account, endTable(ends), func(f *fields) {
			card := f.text("card_object_id")
			end := EndRecord{Key: f.text("id")}
			digest := f.text("digest")
			if parsed, err := ledger.ParseDigest(digest); err == nil { // else it is none that was ever kept
				end.Digest = parsed
			}
			end.Last = f.number("seq")
			found[card] = end
		})
	if err != nil {
		return nil, fmt.Errorf("look up the ends of histories: %w", err)
	}
	return found, nil
}

// SumsSince is [AuditReader.Sums] of what comes after places in the histories of cards.
func (a *AuditReader) SumsSince(ctx context.Context, account string, ends []CardEnd) (map[string]Sums, error) {
	sums := make(map[string]Sums)
	err := a.join(ctx, sumColumns, `SELECT `+sumFields+` FROM %s CROSS JOIN transactions AS t
		WHERE t.account_id = $1 AND t.card_object_id = r.id AND t.seq > r.seq GROUP BY t.card_object_id`,
		account, endTable(ends), func(f *fields) {
			key, sum := readSums(f)
			sums[key] = sum
		})
	if err != nil {
		return nil, fmt.Errorf("sum new transactions: %w", err)
	}
	return sums, nil
}
