package repotest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// AccountTables are the tables whose rows belong to an account.
var AccountTables = []string{"cards", "transactions", "holds", "tokens", "card_search"}

// clientTables are the tables of an account that no operation on its cards touches.
var clientTables = []string{"api_clients", "client_grants"}

// hookTables belong to accounts too, and have no part in what the rules of cards say.
var hookTables = []string{"hook_subscriptions", "hook_deliveries"}

// searchIndex is SQLite's index of card_search, which is a table to SQL.
const searchIndex = "card_search_grams"

// acrossAccounts lists the tables that belong to the installation, with the reason
// why their statements name no account.
var acrossAccounts = map[string]string{
	"data_keys":           "one data key serves all accounts; its fingerprint holds nothing of theirs",
	"current_data_keys":   "one data key serves all accounts",
	"bun_migrations":      "the schema is the same for all accounts",
	"bun_migration_locks": "the schema is the same for all accounts",
	"pragma_table_xinfo":  "asks whether the schema is there at all",
	"sqlite_master":       "asks whether the schema is there at all",
	"information_schema":  "asks whether the schema is there at all",
}

// ofAllAccounts lists the statements on accounts' rows that are meant to span
// accounts, by how they begin, with the reason.
var ofAllAccounts = map[string]string{
	"SELECT min(a) FROM (SELECT min(account_id) AS a FROM cards":           "an audit of everything has to find out which accounts there are",
	"UPDATE transactions AS t SET available_after = ":                      "a migration fills a new column for all accounts",
	"INSERT INTO card_search (account_id, id, search_text) SELECT account": "a migration fills a new table for all accounts",
	"UPDATE cards SET usage = CASE":                                        "a step of the schema fills its new column in all rows",
	"SELECT sum(CAST(seq AS DOUBLE PRECISION)) FROM cards WHERE $1 = ''":   "an audit of everything has to know how long it will take",
	"SELECT s.account_id, s.id FROM hook_subscriptions AS s WHERE s.del":   "whoever sends events has to find out which accounts have some",
	"SELECT s.account_id, s.id, s.deleted_at FROM hook_subscriptions AS s": "whoever removes old deliveries has to find out where there may be some",
}

var (
	comment     = regexp.MustCompile(`(?m)^\s*--.*$`)
	textLiteral = regexp.MustCompile(`'(?:[^']|'')*'`)
	rowLock     = regexp.MustCompile(`FOR UPDATE OF [a-z]+`)
	schemaWork  = regexp.MustCompile(`(?i)^(?:CREATE|ALTER) (?:OR REPLACE )?(?:UNIQUE |VIRTUAL )?(?:TABLE|INDEX|TRIGGER|FUNCTION)\b`)
	advisory    = regexp.MustCompile(`pg_advisory_(?:un)?lock`)
	insertBound = regexp.MustCompile(`(?i)INSERT INTO [a-z_]+ \(account_id, [^)]*\) (?:SELECT |VALUES \()\$1,`)
	derived     = regexp.MustCompile(`(?:WITH(?: RECURSIVE)?|,) ([a-z_]+)(?:\([a-z, ]*\))? AS \(`)
	tableRef    = regexp.MustCompile(`(?i)\b(FROM|JOIN|UPDATE|INTO|LOCK TABLE) ([a-z_]+)(?: AS ([a-z]+))?`)
)

// Stray tells in which way a statement could touch the rows of several accounts,
// or returns nothing. Each table of an account that the statement names must be
// bound to one account by a constant; a table that is neither such a one nor on the
// list of exceptions is a problem too, so that the list stays complete.
func Stray(statement string) string {
	text := normal(statement)
	if schemaWork.MatchString(text) || advisory.MatchString(text) {
		return "" // changes the schema, not the rows of anybody
	}
	for start := range ofAllAccounts {
		if strings.HasPrefix(text, start) {
			return ""
		}
	}
	known := map[string]bool{"unnest": true, "json_each": true} // what the statements select from besides tables
	for _, name := range derived.FindAllStringSubmatch(text, -1) {
		known[name[1]] = true // made of other tables in the same statement
	}
	for _, ref := range tableRef.FindAllStringSubmatch(text, -1) {
		verb, table, alias := strings.ToUpper(ref[1]), ref[2], ref[3]
		switch {
		case table == searchIndex, slices.Contains(AccountTables, table), slices.Contains(clientTables, table),
			slices.Contains(hookTables, table):
			if !bound(text, verb, alias) {
				return fmt.Sprintf("%s is not bound to one account", table)
			}
		case acrossAccounts[table] == "" && !known[table]:
			return fmt.Sprintf("%s is neither an account's table nor a known exception", table)
		}
	}
	return ""
}

// normal writes a statement without comments, literals, quoted names and line
// breaks, and with the placeholders of PostgreSQL.
func normal(statement string) string {
	text := comment.ReplaceAllString(statement, "")
	text = strings.ReplaceAll(text, "JOIN LATERAL (", "JOIN (")
	text = strings.Replace(text, "ON CONFLICT (account_id, id) DO UPDATE SET", "ON CONFLICT OF THE ACCOUNT", 1)
	text = rowLock.ReplaceAllString(textLiteral.ReplaceAllString(text, "''"), "")
	text = strings.NewReplacer(`"`, "", "?", "$").Replace(text)
	return strings.Join(strings.Fields(text), " ")
}

// bound tells whether a table's rows are limited to the account of a constant.
func bound(text, verb, alias string) bool {
	if verb == "INTO" {
		return insertBound.MatchString(text)
	}
	if alias == "" {
		return regexp.MustCompile(`[ (]account_id = (?:\$1\b|'')`).MatchString(text)
	}
	return regexp.MustCompile(`\b` + alias + `\.account_id = (?:\$1\b|'')`).MatchString(text)
}
