package repository

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
)

// statements are the fixed texts of the write path. Each has the account as its
// first argument and filters on it, but for currentKey, which is of all accounts.
type statements struct {
	lockNamed, lock                                    lookup // cards
	parents, holds, tokens                             lookup
	currentKey                                         lookup // the data key of new tokens
	cardRefs, tokenRefs, parentRefs, refs              lookup // transactions that have a ref_id
	cardTokenRefs                                      lookup // tokens that have one
	liveCard, tokenCard, cardTokens                    lookup // SQLite's, to read
	insertCards, insertTxns, insertHolds, insertTokens change
	updateCards, postCards, updateHolds, updateTokens  change
	postRecalled                                       change // PostgreSQL's
	saveSearch                                         change
	restoreCards, restoreFigures, restoreHolds         change
	hooks                                              hookStatements
}

// lookup reads the rows that table arguments name.
type lookup struct {
	text    string
	columns []column // of the answer
}

// change writes rows: a whole table argument at once, or a single row. To set out
// with arrays costs PostgreSQL more than a few rows do one by one; on SQLite, which
// is no trip away, one by one is always better.
//
// The commit is on its way before the answer is there, so on PostgreSQL a change that
// does not reach all of its rows has to fail by itself.
type change struct {
	table         string
	columns       []column
	whole, single string
}

// fewRows is up to how many rows PostgreSQL is given one by one.
const fewRows = 2

// Columns of the table arguments.
var (
	cardIDColumns    = []column{{name: "card_id", pgType: textType}}
	idColumns        = []column{{name: "id", pgType: uuidType}}
	hashColumns      = []column{{name: "hash", pgType: textType}}
	cardRefColumns   = []column{{name: "card_id", pgType: textType}, {name: "ref_id", pgType: textType}}
	tokenRefColumns  = []column{{name: "hash", pgType: textType}, {name: "ref_id", pgType: textType}}
	parentRefColumns = []column{{name: "id", pgType: uuidType}, {name: "ref_id", pgType: textType}}
	refColumns       = []column{{name: "card_object_id", pgType: uuidType}, {name: "ref_id", pgType: textType}}
)

// projection are the columns of a card that its transactions determine.
var projection = []string{
	"id", "amount_funds", "amount_drawdown", "amount_pending", "amount_reserved",
	"open_holds", "seq", "digest", "last_txn_at",
}

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
	cards, txns := modelOf(s.write, cardRow{}), modelOf(s.write, txnRow{})
	holds, tokens := modelOf(s.write, holdRow{}), modelOf(s.write, tokenRow{})
	t := statements{}
	t.lookups(s.dialect, cards, txns, holds, tokens, modelOf(s.write, currentKeyRow{}))
	d := s.dialect
	t.insertCards, t.insertTxns = d.answering(d.insert(cards)), d.insert(txns)
	t.insertHolds, t.insertTokens = d.insert(holds), d.insert(tokens)
	t.updateCards, t.postCards = d.update(cards, cardUpdates), d.update(cards, projection)
	t.postRecalled = d.updateRecalled(cards)
	t.updateHolds, t.updateTokens = d.update(holds, holdUpdates), d.update(tokens, tokenUpdates)
	t.saveSearch = d.upsert(modelOf(s.write, searchRow{}))
	t.restoreCards, t.restoreFigures, t.restoreHolds = t.postCards, d.updateFigures(txns), d.upsert(holds)
	t.hooks = s.hookStatements()
	return t
}

// modelOf is what Bun knows of a row model.
func modelOf(db *bun.DB, row any) *schema.Table { return db.Table(reflect.TypeOf(row)) }

// lookups writes the texts that find rows. What never changes is resolved inside of
// them: which card a token or a transaction belongs to.
func (t *statements) lookups(d dialect, cards, txns, holds, tokens, keys *schema.Table) {
	cardColumns := columnsOf(cards)
	t.lockNamed = d.lookup("x", cardColumns, `FROM cards AS x WHERE x.account_id = $1 AND x.card_id %s AND x.deleted_at IS NULL`+
		d.forUpdate("x"), d.among(cardIDColumns[0], 2))
	t.lock = d.lookup("x", cardColumns, `FROM cards AS x WHERE x.account_id = $1 AND x.id `+d.oneOf(`
		SELECT c.id FROM cards AS c WHERE c.account_id = $1 AND c.card_id %s AND c.deleted_at IS NULL
		UNION ALL SELECT k.card_object_id FROM tokens AS k WHERE k.account_id = $1 AND k.hash %s
		UNION ALL SELECT t.card_object_id FROM transactions AS t WHERE t.account_id = $1 AND t.id %s
		UNION ALL SELECT r.id FROM %s`)+d.forUpdate("x"),
		d.among(cardIDColumns[0], 2), d.among(hashColumns[0], 3), d.among(idColumns[0], 4), d.from(idColumns, 5))

	t.parents = d.lookup("x", columnsOf(txns, "id", "card_object_id"), `FROM transactions AS x WHERE x.account_id = $1 AND x.id %s`, d.among(idColumns[0], 2))
	t.holds = d.lookup("x", columnsOf(holds), `FROM holds AS x WHERE x.account_id = $1 AND x.id %s`, d.among(idColumns[0], 2))
	t.currentKey = d.lookup("u", columnsOf(keys), `FROM current_data_keys AS u ORDER BY u.since DESC LIMIT 1`)
	t.tokens = d.lookup("x", columnsOf(tokens), `FROM tokens AS x WHERE x.account_id = $1 AND x.hash %s`, d.among(hashColumns[0], 2))

	// CROSS JOIN makes SQLite begin with the argument. It would otherwise take the
	// argument for large and read the whole account for each of its rows.
	const (
		ofCard   = `FROM %s CROSS JOIN cards AS c CROSS JOIN %s AS x WHERE c.account_id = $1 AND c.card_id = r.card_id AND c.deleted_at IS NULL AND `
		ofToken  = `FROM %s CROSS JOIN tokens AS k CROSS JOIN %s AS x WHERE k.account_id = $1 AND k.hash = r.hash AND `
		ofParent = `FROM %s CROSS JOIN transactions AS p CROSS JOIN %s AS x WHERE p.account_id = $1 AND p.id = r.id AND `
		ofObject = `FROM %s CROSS JOIN %s AS x WHERE `
		has      = `x.account_id = $1 AND x.card_object_id = %s AND x.ref_id = r.ref_id`
	)
	txnColumns := columnsOf(txns)
	t.cardRefs = d.lookup("x", txnColumns, ofCard+has, d.from(cardRefColumns, 2), txns.Name, "c.id")
	t.tokenRefs = d.lookup("x", txnColumns, ofToken+has, d.from(tokenRefColumns, 2), txns.Name, "k.card_object_id")
	t.parentRefs = d.lookup("x", txnColumns, ofParent+has, d.from(parentRefColumns, 2), txns.Name, "p.card_object_id")
	t.refs = d.lookup("x", txnColumns, ofObject+has, d.from(refColumns, 2), txns.Name, "r.card_object_id")
	t.cardTokenRefs = d.lookup("x", columnsOf(tokens), ofCard+has, d.from(cardRefColumns, 2), tokens.Name, "c.id")

	t.liveCard = d.lookup("x", cardColumns, `FROM cards AS x WHERE x.account_id = $1 AND x.card_id = $2 AND x.deleted_at IS NULL`)
	t.tokenCard = d.lookup("x", cardColumns, `FROM tokens AS k CROSS JOIN cards AS x WHERE k.account_id = $1 AND k.hash %s
		AND (k.expires_at IS NULL OR k.expires_at > $3) AND x.account_id = $1 AND x.id = k.card_object_id AND x.deleted_at IS NULL`,
		d.among(hashColumns[0], 2))
	t.cardTokens = d.lookup("x", columnsOf(tokens), `FROM tokens AS x WHERE x.account_id = $1 AND x.card_object_id = $2
		AND (x.expires_at IS NULL OR x.expires_at > $3) ORDER BY x.id`)
}

func (d dialect) lookup(alias string, columns []column, text string, parts ...any) lookup {
	return lookup{columns: columns, text: d.placeholders("SELECT " + selected(alias, columns) + " " + fmt.Sprintf(text, parts...))}
}

// selected lists columns by name. With a star, a prepared statement would fail on
// every connection as soon as a migration adds a column under a running server.
func selected(alias string, columns []column) string {
	return strings.Join(each(columns, func(c column) string { return alias + "." + c.name }), ", ")
}

func each(columns []column, write func(column) string) []string {
	texts := make([]string, len(columns))
	for i, c := range columns {
		texts[i] = write(c)
	}
	return texts
}

// insert adds rows. One that another writer has added before makes PostgreSQL fail; on
// SQLite it is left out, and missed.
func (d dialect) insert(model *schema.Table) change {
	if d.postgres {
		return d.inserting(model, "")
	}
	return d.inserting(model, "ON CONFLICT DO NOTHING")
}

// answering makes an insert answer like an update.
func (d dialect) answering(c change) change {
	if d.postgres {
		c.whole, c.single = d.all(c.whole, d.length(c.columns)), d.all(c.single, "1")
	}
	return c
}

// upsert adds rows, or overwrites those that there are.
func (d dialect) upsert(model *schema.Table) change {
	sets := each(columnsOf(model), func(c column) string { return c.name + " = excluded." + c.name })
	return d.inserting(model, "ON CONFLICT (account_id, id) DO UPDATE SET "+strings.Join(sets, ", "))
}

// inserting writes an insert with what it does about rows that are there already. (SQLite
// needs the WHERE to tell ON CONFLICT from a join's ON.)
func (d dialect) inserting(model *schema.Table, onConflict string) change {
	columns := columnsOf(model)
	names := strings.Join(each(columns, func(c column) string { return c.name }), ", ")
	return change{
		table:   model.Name,
		columns: columns,
		whole: d.placeholders(fmt.Sprintf("INSERT INTO %s (account_id, %s) SELECT $1, %s FROM %s WHERE true %s",
			model.Name, names, selected("r", columns), d.from(columns, 2), onConflict)),
		single: d.placeholders(fmt.Sprintf("INSERT INTO %s (account_id, %s) VALUES ($1, %s) %s",
			model.Name, names, strings.Join(numbered(len(columns)), ", "), onConflict)),
	}
}

// update sets the named columns of the rows with the given ids.
func (d dialect) update(model *schema.Table, names []string) change {
	return d.updating(model.Name, columnsOf(model, names...), map[string]string{"id": "x.id"})
}

// updateRecalled is the update of cards' figures if their rows are as they are remembered.
func (d dialect) updateRecalled(cards *schema.Table) change {
	columns := columnsOf(cards, projection...)
	for i := range columns {
		columns[i].index = append([]int{0}, columns[i].index...) // a cardRow is the first field of a recalledRow
	}
	return d.updating(cards.Name, append(columns, recalledColumns...),
		map[string]string{"id": "x.id", "version": "x.xmin::text", "digest_before": "x.digest"})
}

// updating sets columns of rows. Those with a condition are not set: what is stored has
// to be equal to them.
func (d dialect) updating(name string, columns []column, conditions map[string]string) change {
	var whole, single []string
	of, is := "", ""
	for i, number := range numbered(len(columns)) {
		column := columns[i].name
		if stored := conditions[column]; stored != "" {
			of += " AND " + stored + " = r." + column
			is += " AND " + stored + " = " + number
		} else {
			whole = append(whole, column+" = r."+column)
			single = append(single, column+" = "+number)
		}
	}
	return change{
		columns: columns,
		whole: d.all(fmt.Sprintf("UPDATE %s AS x SET %s FROM %s WHERE x.account_id = $1%s",
			name, strings.Join(whole, ", "), d.from(columns, 2), of), d.length(columns)),
		single: d.all(fmt.Sprintf("UPDATE %s AS x SET %s WHERE x.account_id = $1%s", name, strings.Join(single, ", "), is), "1"),
	}
}

// updateFigures sets what the last transaction of a card repeats of it.
func (d dialect) updateFigures(txns *schema.Table) change {
	const text = `UPDATE transactions AS x SET available_after = %[1]s, balance_after = %[2]s%[5]s
		WHERE x.account_id = $1 AND x.card_object_id = %[3]s AND x.seq = %[4]s`
	columns := columnsOf(txns, "card_object_id", "seq", "available_after", "balance_after")
	of := map[string]string{}
	for i, number := range numbered(len(columns)) {
		of[columns[i].name] = number
	}
	return change{
		columns: columns,
		whole: d.all(fmt.Sprintf(text, "r.available_after", "r.balance_after", "r.card_object_id", "r.seq",
			" FROM "+d.from(columns, 2)), d.length(columns)),
		single: d.all(fmt.Sprintf(text, of["available_after"], of["balance_after"], of["card_object_id"], of["seq"], ""), "1"),
	}
}

// numbered are the placeholders behind the account's.
func numbered(n int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf("$%d", i+2)
	}
	return texts
}
