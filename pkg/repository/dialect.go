package repository

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"
)

// dialect is everything that differs between the two engines.
type dialect struct {
	postgres bool
}

// forUpdate locks the rows of a table alias in the order of their ids. SQLite has one
// writer and no need; asked for an order, it would read the whole account in it.
func (d dialect) forUpdate(alias string) string {
	if d.postgres {
		return fmt.Sprintf(" ORDER BY %[1]s.id FOR UPDATE OF %[1]s", alias)
	}
	return ""
}

// placeholders turns $1 into the engine's own way to write it.
func (d dialect) placeholders(text string) string {
	if d.postgres {
		return text
	}
	return strings.ReplaceAll(text, "$", "?")
}

// prepared puts before the arguments of a statement what makes the driver prepare
// it once and keep it. The connection's own default is the simple protocol, for
// the statements that Bun writes out in full and that are never the same twice.
func (d dialect) prepared(args []any) []any {
	if d.postgres {
		return append([]any{pgx.QueryExecModeCacheStatement}, args...)
	}
	return args
}

// from is the SQL of a table argument whose first placeholder is $n, under the alias
// r. It is the same text for any number of rows.
func (d dialect) from(columns []column, n int) string {
	names := make([]string, len(columns))
	parts := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
		if d.postgres {
			parts[i] = fmt.Sprintf("$%d::%s[]", n+i, c.pgType)
		} else {
			parts[i] = fmt.Sprintf("value ->> %d AS %s", i, c.name)
		}
	}
	if d.postgres {
		return fmt.Sprintf("unnest(%s) AS r(%s)", strings.Join(parts, ", "), strings.Join(names, ", "))
	}
	return fmt.Sprintf("(SELECT %s FROM json_each($%d)) AS r", strings.Join(parts, ", "), n)
}

// all makes PostgreSQL refuse an update, by a division by zero, that does not change as
// many rows as it should; see [statement.refused]. It answers which transaction has
// written the rows: the xmin that they have from then on.
func (d dialect) all(update, rows string) string {
	if d.postgres {
		return fmt.Sprintf("WITH changed AS (%s RETURNING xmin::text AS version) SELECT max(version), 1 / (count(*) = %s)::int::bigint FROM changed", update, rows)
	}
	return d.placeholders(update)
}

// length is how many rows a table argument has whose first placeholder is $2.
func (d dialect) length(columns []column) string {
	return fmt.Sprintf("cardinality($2::%s[])", columns[0].pgType)
}

// oneOf is the condition that a column has a value that a query finds. PostgreSQL has
// to make the list once, beforehand: it checks a row anew that was changed while it
// waited for the row's lock, and of a list that is a part of the plan it would then
// find only what is left of it.
func (d dialect) oneOf(query string) string {
	if d.postgres {
		return "= ANY (ARRAY(" + query + "))"
	}
	return "IN (" + query + ")"
}

// among is the condition that a column has one of the values of the table argument of
// one column whose placeholder is $n.
func (d dialect) among(c column, n int) string {
	if d.postgres {
		return fmt.Sprintf("= ANY($%d::%s[])", n, c.pgType)
	}
	return fmt.Sprintf("IN (SELECT value ->> 0 FROM json_each($%d))", n)
}

// indexedBy makes SQLite take an index. PostgreSQL is led to it by the form of the
// statement.
func (d dialect) indexedBy(name string) string {
	if d.postgres || name == "" {
		return ""
	}
	return " INDEXED BY " + name
}

// fence keeps a subquery from being planned together with what is around it: it keeps its
// order, and is not worked out more than once.
func (d dialect) fence() string {
	if d.postgres {
		return " OFFSET 0"
	}
	return " LIMIT -1"
}

// keyed is the condition that the first columns of an index after the account have these
// values, and that the id, the next one, is within a part of the ids; and the order down the
// index. On PostgreSQL the bounds are on the last column and the id together: it would
// otherwise take the ids' own index where it believes that the values are frequent. SQLite
// would have to compare both for each entry.
func (d dialect) keyed(columns []string, values []any, within span) (condition string, args []any, order string) {
	last := len(columns) - 1
	for i, column := range columns {
		order += column + " DESC, "
		if i < last || !d.postgres {
			condition += column + " = ? AND "
		}
	}
	order += "c.id DESC"
	if last < 0 || !d.postgres {
		return condition + "c.id BETWEEN ? AND ?", slices.Concat(values, []any{within.low, within.top}), order
	}
	condition += fmt.Sprintf("(%[1]s, c.id) >= (?, ?) AND (%[1]s, c.id) <= (?, ?)", columns[last])
	return condition, slices.Concat(values, []any{within.low, values[last], within.top}), order
}

// greatest is the function for the greatest of several values.
func (d dialect) greatest() string {
	if d.postgres {
		return "greatest"
	}
	return "max"
}

// idList is a table with a column of ids.
func (d dialect) idList(ids []uuid.UUID) (from string, arg any) {
	if d.postgres {
		return "unnest(ARRAY[?]::uuid[]) AS p(id)", bun.List(ids)
	}
	return "(SELECT value AS id FROM json_each(json_array(?))) AS p", bun.List(ids)
}

// joinEach looks up the cards of each row that a statement has so far, and nothing
// the other way round.
func (d dialect) joinEach(cards, condition string) string {
	if d.postgres {
		return fmt.Sprintf("CROSS JOIN LATERAL (SELECT c.id FROM %s WHERE %s%s) AS c", cards, condition, d.fence())
	}
	return fmt.Sprintf("CROSS JOIN %s WHERE %s", cards, condition)
}

// withGrams is where the cards of an account are that have all the grams and match
// the pattern. Of the conditions on PostgreSQL only that on the grams can be answered
// by an index.
func (d dialect) withGrams(account string, grams []string, pattern string) (from, column, condition string, args []any) {
	if d.postgres {
		keys := make([]string, len(grams))
		for i, gram := range grams {
			keys[i] = account + gram
		}
		return "card_search AS s", "s.id", "(s.account_id = ?) IS TRUE AND card_grams(s.account_id, s.search_text) @> ARRAY[?] AND s.search_text LIKE ? ESCAPE '\\'",
			[]any{account, bun.List(keys), pattern}
	}
	quoted := make([]string, len(grams))
	for i, gram := range grams {
		quoted[i] = `"` + strings.ReplaceAll(gram, `"`, `""`) + `"`
	}
	return "card_search_grams", "id", "account_id = ? AND card_search_grams MATCH ? AND search_text LIKE ? ESCAPE '\\'",
		[]any{account, strings.Join(quoted, " "), pattern}
}
