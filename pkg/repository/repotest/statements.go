package repotest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// AccountTables are the tables whose rows belong to an account.
var AccountTables = []string{"cards", "transactions", "holds", "tokens"}

// acrossAccounts lists the tables that belong to the installation, with the reason
// why their statements name no account.
var acrossAccounts = map[string]string{
	"data_keys":           "one data key serves all accounts; its fingerprint holds nothing of theirs",
	"bun_migrations":      "the schema is the same for all accounts",
	"bun_migration_locks": "the schema is the same for all accounts",
	"sqlite_master":       "asks whether the schema is there at all",
	"information_schema":  "asks whether the schema is there at all",
}

// ofAllAccounts lists the statements on accounts' rows that are meant to span
// accounts, by how they begin, with the reason.
var ofAllAccounts = map[string]string{
	"SELECT min(a) FROM (SELECT min(account_id) AS a FROM cards":         "an audit of everything has to find out which accounts there are",
	"SELECT sum(CAST(seq AS DOUBLE PRECISION)) FROM cards WHERE $1 = ''": "an audit of everything has to know how long it will take",
}

var (
	comment     = regexp.MustCompile(`(?m)^\s*--.*$`)
	textLiteral = regexp.MustCompile(`'(?:[^']|'')*'`)
	rowLock     = regexp.MustCompile(`FOR UPDATE OF [a-z]+`)
	schemaWork  = regexp.MustCompile(`(?i)^(?:CREATE|ALTER) (?:UNIQUE )?(?:TABLE|INDEX)\b`)
	advisory    = regexp.MustCompile(`pg_advisory_(?:un)?lock`)
	insertBound = regexp.MustCompile(`(?i)INSERT INTO [a-z]+ \(account_id, [^)]*\) (?:SELECT |VALUES \()\$1,`)
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
	for _, ref := range tableRef.FindAllStringSubmatch(text, -1) {
		verb, table, alias := strings.ToUpper(ref[1]), ref[2], ref[3]
		switch {
		case slices.Contains(AccountTables, table):
			if !bound(text, verb, alias) {
				return fmt.Sprintf("%s is not bound to one account", table)
			}
		case acrossAccounts[table] == "" && !isFunction(table):
			return fmt.Sprintf("%s is neither an account's table nor a known exception", table)
		}
	}
	return ""
}

// normal writes a statement without comments, literals, quoted names and line
// breaks, and with the placeholders of PostgreSQL.
func normal(statement string) string {
	text := comment.ReplaceAllString(statement, "")
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

// isFunction knows what the statements select from besides tables.
func isFunction(name string) bool { return name == "unnest" || name == "json_each" }
