package tamper

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kortwallet/kort/pkg/audit"
)

// place is where a row is found: a row of transactions, cards or holds.
type place struct {
	table, account, id, card string
	seq                      int64 // of a transaction
}

// change lists the rows that differ from the copies, as they were and as they are.
type change struct {
	places []place
	known  map[cardKey]bool // the cards that there were
}

type cardKey struct{ account, card string }

func (c *change) empty() bool { return len(c.places) == 0 }

// difference compares the tables with their copies.
func (e *engine) difference(ctx context.Context) (*change, error) {
	c := &change{known: map[cardKey]bool{}}
	rows := map[string]string{
		cards: "CAST(id AS TEXT), 0", transactions: "CAST(card_object_id AS TEXT), seq", holds: "CAST(card_object_id AS TEXT), 0",
	}
	for _, name := range tableNames {
		t := e.tables[name]
		const text = `SELECT account_id, CAST(id AS TEXT), %[3]s FROM (SELECT %[2]s FROM %[1]s EXCEPT SELECT %[2]s FROM original_%[1]s) AS n
			UNION ALL SELECT account_id, CAST(id AS TEXT), %[3]s FROM (SELECT %[2]s FROM original_%[1]s EXCEPT SELECT %[2]s FROM %[1]s) AS o`
		err := e.places(ctx, fmt.Sprintf(text, name, t.stored(), rows[name]), func(p place) {
			p.table = name
			c.places = append(c.places, p)
		})
		if err != nil {
			return nil, fmt.Errorf("compare %s with its copy: %w", name, err)
		}
	}
	err := e.places(ctx, "SELECT account_id, CAST(id AS TEXT), CAST(id AS TEXT), 0 FROM original_cards", func(p place) {
		c.known[cardKey{p.account, p.card}] = true
	})
	return c, err
}

func (e *engine) places(ctx context.Context, text string, take func(place)) (err error) {
	rows, err := e.conn.QueryContext(ctx, text)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var p place
		if err := rows.Scan(&p.account, &p.id, &p.card, &p.seq); err != nil {
			return err
		}
		take(p)
	}
	return rows.Err()
}

// unnamed says which of the changed rows no finding names; nothing when all is well.
//
// Each changed row of cards and holds has to be named. Of transactions, at least one
// changed row of each card has to be, by its id or, where it is gone, by its number: a
// row that was put in with a digest that fits is no wrong link of the chain, the rows
// that it moved are.
func (c *change) unnamed(kind Kind, findings []audit.Finding) string {
	named := map[cardKey]bool{}
	for _, p := range c.places {
		found := slices.ContainsFunc(findings, func(f audit.Finding) bool { return p.names(kind, f) })
		key := cardKey{p.account, p.card}
		switch {
		case p.table != transactions && !found:
			return fmt.Sprintf("the row of %s %s of %s is not named", p.table, p.id, p.account)
		case p.table == transactions:
			named[key] = named[key] || found
		}
	}
	for key, found := range named {
		if !found && c.known[key] {
			return fmt.Sprintf("no transaction of card %s of %s is named", key.card, key.account)
		}
	}
	return ""
}

// names tells whether a finding is about the row.
func (p *place) names(kind Kind, f audit.Finding) bool {
	if f.Account != p.account {
		return false
	}
	switch p.table {
	case cards:
		return f.Card == p.id
	case holds:
		return f.Row == audit.HoldRow && f.ID == p.id
	}
	if f.Card != p.card {
		return false
	}
	if kind == Forge && (f.Row == audit.TxnRow && f.Seq == p.seq+1 || f.Row == audit.CardRow && f.Figure == "digest") {
		return true
	}
	return f.Row == audit.TxnRow && (f.ID == p.id || f.Seq == p.seq)
}
