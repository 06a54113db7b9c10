package repository

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/uptrace/bun/schema"
)

// statements are the fixed texts of the write path. Each has the account as its
// first argument and filters on it, and takes its rows as a table argument.
type statements struct {
	tokenCards, txnCards, lockCards            string
	refTxns, refTokens, holds, tokens          string
	insertCards, insertTxns, insertHolds       string
	insertTokens                               string
	updateCards, updateHolds, updateTokens     string
	cardModel, txnModel, holdModel, tokenModel *schema.Table
}

// Columns of the table arguments.
var (
	cardIDColumns = []column{{"card_id", textType}}
	idColumns     = []column{{"id", uuidType}}
	hashColumns   = []column{{"hash", textType}}
	refColumns    = []column{{"card_object_id", uuidType}, {"ref_id", textType}}
)

// What an update may change. Nothing changes a transaction.
var (
	cardUpdates = []string{
		"id", "customer_id", "name", "originated_by", "metadata", "amount", "currency", "activated", "activation_id",
		"active_from", "expires_at", "amount_funds", "amount_drawdown", "amount_pending", "amount_reserved",
		"open_holds", "seq", "digest", "last_txn_at", "pin_id", "pin_format", "pin_hash", "pin_key_id",
		"pin_failures", "pin_locked_until", "deleted_at", "deleted_by", "deletion_id", "search_text",
	}
	holdUpdates  = []string{"id", "locked", "open"}
	tokenUpdates = []string{"id", "spent_by"}
)

func (s *Store) statements() statements {
	d := s.dialect
	model := func(row any) *schema.Table { return s.write.Table(reflect.TypeOf(row)) }
	t := statements{
		cardModel: model(cardRow{}), txnModel: model(txnRow{}), holdModel: model(holdRow{}), tokenModel: model(tokenRow{}),
	}
	const first = 2 // $1 is the account
	// CROSS JOIN makes SQLite begin with the argument. It would otherwise take the
	// argument for large and read the whole account for each of its rows.
	find := func(model *schema.Table, columns []column, on string, names ...string) string {
		return d.placeholders(fmt.Sprintf("SELECT %s FROM %s CROSS JOIN %s AS x WHERE x.account_id = $1 AND %s",
			selected("x", columnsOf(model, names...)), d.from(columns, first, "r"), model.Name, on))
	}
	t.tokenCards = find(t.tokenModel, hashColumns, "x.hash = r.hash", "card_object_id")
	t.txnCards = find(t.txnModel, idColumns, "x.id = r.id", "id", "card_object_id")
	t.refTxns = find(t.txnModel, refColumns, "x.card_object_id = r.card_object_id AND x.ref_id = r.ref_id")
	t.refTokens = find(t.tokenModel, refColumns, "x.card_object_id = r.card_object_id AND x.ref_id = r.ref_id")
	t.holds = find(t.holdModel, idColumns, "x.id = r.id")
	t.tokens = find(t.tokenModel, hashColumns, "x.hash = r.hash")
	t.lockCards = d.placeholders(fmt.Sprintf(`SELECT %s FROM cards AS c WHERE c.account_id = $1 AND c.id IN (
		SELECT l.id FROM %s CROSS JOIN cards AS l WHERE l.account_id = $1 AND l.card_id = r.card_id AND l.deleted_at IS NULL
		UNION ALL SELECT k.id FROM %s) ORDER BY c.id`,
		selected("c", columnsOf(t.cardModel)),
		d.from(cardIDColumns, first, "r"), d.from(idColumns, first+d.width(cardIDColumns), "k"))) + d.forUpdate("c")

	t.insertCards, t.insertTxns = d.insert(t.cardModel), d.insert(t.txnModel)
	t.insertHolds, t.insertTokens = d.insert(t.holdModel), d.insert(t.tokenModel)
	t.updateCards = d.update(t.cardModel, cardUpdates)
	t.updateHolds = d.update(t.holdModel, holdUpdates)
	t.updateTokens = d.update(t.tokenModel, tokenUpdates)
	return t
}

// selected lists columns by name. With a star, a prepared statement would fail on
// every connection as soon as a migration adds a column under a running server.
func selected(alias string, columns []column) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = alias + "." + c.name
	}
	return strings.Join(names, ", ")
}

// insert adds rows and returns the ids of those that no other writer had added
// before. (SQLite needs the WHERE to tell ON CONFLICT from a join's ON.)
func (d dialect) insert(model *schema.Table) string {
	columns := columnsOf(model)
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return d.placeholders(fmt.Sprintf(
		"INSERT INTO %s (account_id, %s) SELECT $1, r.%s FROM %s WHERE true ON CONFLICT DO NOTHING RETURNING id",
		model.Name, strings.Join(names, ", "), strings.Join(names, ", r."), d.from(columns, 2, "r")))
}

// update sets the named columns of the rows with the ids of the table argument.
func (d dialect) update(model *schema.Table, names []string) string {
	columns := columnsOf(model, names...)
	var sets []string
	for _, c := range columns {
		if c.name != "id" {
			sets = append(sets, fmt.Sprintf("%s = r.%s", c.name, c.name))
		}
	}
	return d.placeholders(fmt.Sprintf("UPDATE %s AS x SET %s FROM %s WHERE x.account_id = $1 AND x.id = r.id",
		model.Name, strings.Join(sets, ", "), d.from(columns, 2, "r")))
}
