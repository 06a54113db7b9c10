package audit_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/audit"
	"github.com/kortwallet/kort/pkg/ledger"
)

// edit is something that happens to a database behind the servers' back, and one
// of the findings that must tell of it. Names in braces are rows of the fixture.
type edit struct {
	name   string
	sql    string
	card   string        // whose finding
	row    audit.RowKind // the row at fault
	id     string        // of a row that is not the card
	seq    int64         // of a row that is missing
	figure string
	// liteOnly marks what only SQLite lets happen: values of the wrong type.
	liteOnly bool
}

const (
	ofCard   = " WHERE account_id = {account} AND id = {busy}"
	ofQuiet  = " WHERE account_id = {account} AND id = {quiet}"
	onlyThis = " WHERE account_id = {account} AND id = "
)

// projections are edits that a rebuild undoes.
var projections = []edit{
	{name: "funds more", sql: "UPDATE cards SET amount_funds = amount_funds + 1" + ofCard, card: "busy", row: audit.CardRow, figure: "amount_funds"},
	{name: "drawdown less", sql: "UPDATE cards SET amount_drawdown = amount_drawdown - 1" + ofCard, card: "busy", row: audit.CardRow, figure: "amount_drawdown"},
	{name: "pending less", sql: "UPDATE cards SET amount_pending = amount_pending - 1" + ofCard, card: "busy", row: audit.CardRow, figure: "amount_pending"},
	{name: "reserved more", sql: "UPDATE cards SET amount_reserved = amount_reserved + 1" + ofCard, card: "busy", row: audit.CardRow, figure: "amount_reserved"},
	{name: "all amounts of a quiet card", sql: "UPDATE cards SET amount_funds = 9, amount_drawdown = 4, amount_pending = 3, amount_reserved = 3" + ofQuiet, card: "quiet", row: audit.CardRow, figure: "amount_pending"},
	{name: "open holds more", sql: "UPDATE cards SET open_holds = open_holds + 1" + ofCard, card: "busy", row: audit.CardRow, figure: "open_holds"},
	{name: "open holds none", sql: "UPDATE cards SET open_holds = 0" + ofCard, card: "busy", row: audit.CardRow, figure: "open_holds"},
	{name: "seq of card", sql: "UPDATE cards SET seq = seq + 1" + ofCard, card: "busy", row: audit.CardRow, figure: "seq"},
	{name: "time of card", sql: "UPDATE cards SET last_txn_at = last_txn_at - 1" + ofCard, card: "busy", row: audit.CardRow, figure: "last_txn_at"},
	{name: "head lags behind", sql: `UPDATE cards SET seq = 2, digest = (SELECT digest FROM transactions WHERE account_id = {account} AND id = {fund})` + ofCard, card: "busy", row: audit.CardRow, figure: "digest"},
	{name: "funds on an empty card", sql: "UPDATE cards SET amount_funds = 7" + onlyThis + "{empty}", card: "empty", row: audit.CardRow, figure: "amount_funds"},
	{name: "funds on an inactive card", sql: "UPDATE cards SET amount_funds = 7" + onlyThis + "{inactive}", card: "inactive", row: audit.CardRow, figure: "amount_funds"},
	{name: "funds on a deleted card", sql: "UPDATE cards SET amount_funds = 7" + onlyThis + "{gone}", card: "gone", row: audit.CardRow, figure: "amount_funds"},

	{name: "usage", sql: "UPDATE cards SET usage = 'used'" + ofCard, card: "busy", row: audit.CardRow, figure: "usage", liteOnly: true},
	{name: "figure of the last", sql: "UPDATE transactions SET available_after = available_after + 1" + onlyThis + "{last}", card: "busy", row: audit.TxnRow, id: "last", figure: "available_after"},
	{name: "no figure of the last", sql: "UPDATE transactions SET available_after = NULL, balance_after = NULL" + onlyThis + "{quiet_drawdown}", card: "quiet", row: audit.TxnRow, id: "quiet_drawdown", figure: "available_after"},
	{name: "figure in the middle", sql: "UPDATE transactions SET available_after = 0" + onlyThis + "{drawdown}", card: "busy", row: audit.TxnRow, id: "drawdown", figure: "available_after"},
	{name: "balance in the middle", sql: "UPDATE transactions SET balance_after = balance_after - 1" + onlyThis + "{pending}", card: "busy", row: audit.TxnRow, id: "pending", figure: "balance_after"},
	{name: "no balance in the middle", sql: "UPDATE transactions SET balance_after = NULL" + onlyThis + "{pending}", card: "busy", row: audit.TxnRow, id: "pending", figure: "balance_after"},
	{name: "balance that is not wanted", sql: "UPDATE transactions SET balance_after = available_after" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "balance_after"},

	{name: "hold locks less", sql: "UPDATE holds SET locked = locked - 1" + onlyThis + "{pending}", card: "busy", row: audit.HoldRow, id: "pending", figure: "locked"},
	{name: "hold closed", sql: "UPDATE holds SET open = NOT open" + onlyThis + "{pending}", card: "busy", row: audit.HoldRow, id: "pending", figure: "open"},
	{name: "hold of nothing closed", sql: "UPDATE holds SET open = NOT open" + onlyThis + "{zero}", card: "busy", row: audit.HoldRow, id: "zero", figure: "open"},
	{name: "voided hold opened", sql: "UPDATE holds SET open = NOT open, locked = 200" + onlyThis + "{released}", card: "busy", row: audit.HoldRow, id: "released", figure: "locked"},
	{name: "captured hold opened", sql: "UPDATE holds SET open = NOT open" + onlyThis + "{taken}", card: "busy", row: audit.HoldRow, id: "taken", figure: "open"},
	{name: "hold for more", sql: "UPDATE holds SET amount = amount + 1" + onlyThis + "{pending}", card: "busy", row: audit.HoldRow, id: "pending", figure: "amount"},
	{name: "hold on another card", sql: "UPDATE holds SET card_object_id = {quiet}" + onlyThis + "{pending}", card: "busy", row: audit.HoldRow, id: "pending", figure: "card_object_id"},
	{name: "hold on no card", sql: "UPDATE holds SET card_object_id = {fund}" + onlyThis + "{pending}", card: "busy", row: audit.HoldRow, id: "pending", figure: "card_object_id"},
	{name: "hold gone", sql: "DELETE FROM holds" + onlyThis + "{pending}", card: "busy", row: audit.HoldRow, id: "pending", figure: "id"},
	{name: "settled hold gone", sql: "DELETE FROM holds" + onlyThis + "{taken}", card: "busy", row: audit.HoldRow, id: "taken", figure: "id"},
	{name: "half a cent", sql: "UPDATE cards SET amount_funds = amount_funds + 0.5" + ofCard, card: "busy", row: audit.CardRow, figure: "amount_funds", liteOnly: true},
}

// chains are edits of history, which a rebuild leaves alone.
var chains = []edit{
	{name: "amount", sql: "UPDATE transactions SET amount = amount + 1" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "digest"},
	{name: "amount of the last", sql: "UPDATE transactions SET amount = amount + 1" + onlyThis + "{last}", card: "busy", row: audit.TxnRow, id: "last", figure: "digest"},
	{name: "amount out of all proportion", sql: "UPDATE transactions SET amount = 9007199254740991" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "amount"},
	{name: "negative amount", sql: "UPDATE transactions SET amount = -1" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "amount"},
	{name: "type", sql: "UPDATE transactions SET type = 'drawdown'" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "digest"},
	{name: "unknown type", sql: "UPDATE transactions SET type = 'gift'" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "type"},
	{name: "void called a capture", sql: "UPDATE transactions SET type = 'drawdown'" + onlyThis + "{void}", card: "busy", row: audit.TxnRow, id: "void", figure: "digest"},
	{name: "currency", sql: "UPDATE transactions SET currency = 'SEK'" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "currency"},
	{name: "ref_id", sql: "UPDATE transactions SET ref_id = 'r-other'" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "digest"},
	{name: "ref_id twice", sql: "UPDATE transactions SET ref_id = 'r-drawdown'" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "drawdown", figure: "ref_id"},
	{name: "no ref_id", sql: "UPDATE transactions SET ref_id = ''" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "ref_id"},
	{name: "ref_id of the opening", sql: "UPDATE transactions SET ref_id = 'r-other'" + onlyThis + "{opening}", card: "busy", row: audit.TxnRow, id: "opening", figure: "ref_id"},
	{name: "metadata", sql: `UPDATE transactions SET metadata = '{"a":1}'` + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "digest"},
	{name: "originated_by", sql: "UPDATE transactions SET originated_by = 'till 7'" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "digest"},
	{name: "created_by", sql: "UPDATE transactions SET created_by = 'somebody'" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "digest"},
	{name: "created_at", sql: "UPDATE transactions SET created_at = created_at + 1" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "digest"},
	{name: "created_at backwards", sql: "UPDATE transactions SET created_at = 1" + onlyThis + "{drawdown}", card: "busy", row: audit.TxnRow, id: "drawdown", figure: "created_at"},
	{name: "amount_given", sql: "UPDATE transactions SET amount_given = NOT amount_given" + onlyThis + "{capture}", card: "busy", row: audit.TxnRow, id: "capture", figure: "amount_given"},
	{name: "addressed_by", sql: "UPDATE transactions SET addressed_by = 'opening'" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "addressed_by"},
	{name: "opening called a fund", sql: "UPDATE transactions SET addressed_by = 'card_id'" + onlyThis + "{opening}", card: "busy", row: audit.TxnRow, id: "opening", figure: "addressed_by"},
	{name: "parent of a capture", sql: "UPDATE transactions SET parent_id = {zero}" + onlyThis + "{capture}", card: "busy", row: audit.TxnRow, id: "capture", figure: "parent_id"},
	{name: "parent that is no pending one", sql: "UPDATE transactions SET parent_id = {fund}" + onlyThis + "{capture}", card: "busy", row: audit.TxnRow, id: "capture", figure: "parent_id"},
	{name: "parent on another card", sql: "UPDATE transactions SET parent_id = {quiet_drawdown}" + onlyThis + "{capture}", card: "busy", row: audit.TxnRow, id: "capture", figure: "parent_id"},
	{name: "no parent", sql: "UPDATE transactions SET parent_id = NULL" + onlyThis + "{capture}", card: "busy", row: audit.TxnRow, id: "capture", figure: "parent_id"},
	{name: "parent of a drawdown", sql: "UPDATE transactions SET parent_id = {pending}" + onlyThis + "{drawdown}", card: "busy", row: audit.TxnRow, id: "drawdown", figure: "parent_id"},
	{name: "capture of too much", sql: "UPDATE transactions SET amount = 1001" + onlyThis + "{capture}", card: "busy", row: audit.TxnRow, id: "capture", figure: "amount"},
	{name: "void of too little", sql: "UPDATE transactions SET amount = 199" + onlyThis + "{void}", card: "busy", row: audit.TxnRow, id: "void", figure: "amount"},
	{name: "token of a transaction", sql: "UPDATE transactions SET token_id = {multi}" + onlyThis + "{by_single}", card: "busy", row: audit.TxnRow, id: "by_single", figure: "digest"},
	{name: "unknown token", sql: "UPDATE transactions SET token_id = {fund}" + onlyThis + "{by_multi}", card: "busy", row: audit.TxnRow, id: "by_multi", figure: "token_id"},
	{name: "single-use token twice", sql: "UPDATE transactions SET token_id = {single}" + onlyThis + "{by_multi}", card: "busy", row: audit.TxnRow, id: "by_multi", figure: "token_id"},
	{name: "no token", sql: "UPDATE transactions SET token_id = NULL" + onlyThis + "{by_multi}", card: "busy", row: audit.TxnRow, id: "by_multi", figure: "token_id"},
	{name: "digest", sql: "UPDATE transactions SET digest = '0000000000000000000000000000000000000000000000000000000000000000'" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "digest"},
	{name: "digest that is none", sql: "UPDATE transactions SET digest = 'x'" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "digest"},
	{name: "digest in capitals", sql: "UPDATE transactions SET digest = upper(digest)" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "digest"},
	{name: "seq", sql: "UPDATE transactions SET seq = 1000" + onlyThis + "{last}", card: "busy", row: audit.TxnRow, id: "last", figure: "seq"},
	{name: "seqs exchanged", sql: `UPDATE transactions SET seq = CASE WHEN seq = 2 THEN 3 ELSE 2 END WHERE account_id = {account} AND id IN ({fund}, {drawdown})`, card: "busy", row: audit.TxnRow, id: "drawdown", figure: "digest"},
	{name: "seqs moved up", sql: `UPDATE transactions SET seq = seq + 1 WHERE account_id = {account} AND card_object_id = {busy}`, card: "busy", row: audit.TxnRow, id: "opening", figure: "seq"},
	{name: "seq twice", sql: "UPDATE transactions SET seq = 2" + onlyThis + "{drawdown}", card: "busy", row: audit.TxnRow, id: "drawdown", figure: "seq"},
	{name: "row gone from the middle", sql: "DELETE FROM transactions" + onlyThis + "{drawdown}", card: "busy", row: audit.TxnRow, id: "pending", figure: "seq"},
	{name: "last row gone", sql: "DELETE FROM transactions" + onlyThis + "{last}", card: "busy", row: audit.CardRow, figure: "digest"},
	{name: "last row gone, amounts made to fit", sql: "DELETE FROM transactions" + onlyThis + "{last};UPDATE cards SET amount_drawdown = amount_drawdown - 1, seq = seq - 1" + ofCard, card: "busy", row: audit.CardRow, figure: "digest"},
	{name: "first row gone", sql: "DELETE FROM transactions" + onlyThis + "{opening}", card: "busy", row: audit.TxnRow, id: "fund", figure: "seq"},
	{name: "all rows gone", sql: "DELETE FROM transactions WHERE account_id = {account} AND card_object_id = {quiet}", card: "quiet", row: audit.CardRow, figure: "digest"},
	{name: "pending row gone", sql: "DELETE FROM transactions" + onlyThis + "{zero}", card: "busy", row: audit.HoldRow, id: "zero", figure: "id"},
	{name: "row added", sql: `INSERT INTO transactions (account_id, id, card_object_id, seq, type, amount, currency, ref_id, addressed_by, amount_given, created_at, created_by, digest)
		SELECT account_id, {busy}, card_object_id, seq + 1, 'fund', 1000, currency, 'r-added', 'card_id', amount_given, created_at, created_by, digest
		FROM transactions` + onlyThis + "{last}", card: "busy", row: audit.TxnRow, id: "busy", figure: "digest"},
	{name: "row added to an empty card", sql: `INSERT INTO transactions (account_id, id, card_object_id, seq, type, amount, currency, ref_id, addressed_by, amount_given, created_at, created_by, digest)
		SELECT account_id, {empty}, {empty}, 1, 'fund', 1000, currency, 'r-added', 'card_id', amount_given, created_at, created_by, digest
		FROM transactions` + onlyThis + "{last}", card: "empty", row: audit.TxnRow, id: "empty", figure: "digest"},
	{name: "row added to an inactive card", sql: `INSERT INTO transactions (account_id, id, card_object_id, seq, type, amount, currency, ref_id, addressed_by, amount_given, created_at, created_by, digest)
		SELECT account_id, {inactive}, {inactive}, 1, 'fund', 1000, currency, 'r-added', 'card_id', amount_given, created_at, created_by, digest
		FROM transactions` + onlyThis + "{last}", card: "inactive", row: audit.TxnRow, id: "inactive", figure: "card_object_id"},
	{name: "row moved to another card", sql: "UPDATE transactions SET card_object_id = {quiet}, seq = 3" + onlyThis + "{last}", card: "quiet", row: audit.TxnRow, id: "last", figure: "digest"},
	{name: "row moved to no card", sql: "UPDATE transactions SET card_object_id = {fund}" + onlyThis + "{last}", card: "fund", row: audit.TxnRow, id: "last", figure: "card_object_id"},
	{name: "row moved to another account", sql: "UPDATE transactions SET account_id = 'P99999999'" + onlyThis + "{last}", card: "busy", row: audit.CardRow, figure: "digest"},
	{name: "id of a row", sql: "UPDATE transactions SET id = {busy}" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "busy", figure: "digest"},
	{name: "digest of card", sql: "UPDATE cards SET digest = '0000000000000000000000000000000000000000000000000000000000000001'" + ofCard, card: "busy", row: audit.CardRow, figure: "digest"},
	{name: "digest of card that is none", sql: "UPDATE cards SET digest = ''" + ofCard, card: "busy", row: audit.CardRow, figure: "digest"},
	{name: "last row gone: its number", sql: "DELETE FROM transactions" + onlyThis + "{quiet_drawdown}", card: "quiet", row: audit.TxnRow, id: "missing", seq: 2, figure: "seq"},
	{name: "row gone from the middle: its number", sql: "DELETE FROM transactions" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "missing", seq: 2, figure: "seq"},
	{name: "no metadata, but a text", sql: "UPDATE transactions SET metadata = ''" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "metadata"},
	{name: "no parent, but an id", sql: "UPDATE transactions SET parent_id = '00000000-0000-0000-0000-000000000000'" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "parent_id"},
	{name: "amount with a fraction", sql: "UPDATE transactions SET amount = 500.5" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "amount", liteOnly: true},
	{name: "metadata that is no text", sql: "UPDATE transactions SET metadata = x'7b7d'" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "metadata", liteOnly: true},
	{name: "id in capitals", sql: "UPDATE transactions SET id = upper(id)" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "FUND", figure: "id", liteOnly: true},
	{name: "metadata of bytes", sql: "UPDATE transactions SET metadata = x'00ff'" + onlyThis + "{fund}", card: "busy", row: audit.TxnRow, id: "fund", figure: "metadata", liteOnly: true},
}

// properties are edits of what is neither history nor projection.
var properties = []edit{
	{name: "card's amount", sql: "UPDATE cards SET amount = amount + 1" + ofCard, card: "busy", row: audit.TxnRow, id: "opening", figure: "amount"},
	{name: "amount of a card without any", sql: "UPDATE cards SET amount = 5" + onlyThis + "{empty}", card: "empty", row: audit.CardRow, figure: "amount"},
	{name: "amount out of range", sql: "UPDATE cards SET amount = -5" + onlyThis + "{empty}", card: "empty", row: audit.CardRow, figure: "amount"},
	{name: "card's currency", sql: "UPDATE cards SET currency = 'SEK'" + ofCard, card: "busy", row: audit.TxnRow, id: "fund", figure: "currency"},
	{name: "currency that is none", sql: "UPDATE cards SET currency = 'XXX'" + onlyThis + "{empty}", card: "empty", row: audit.CardRow, figure: "currency"},
	{name: "card inactive", sql: "UPDATE cards SET activated = NOT activated" + ofCard, card: "busy", row: audit.TxnRow, id: "fund", figure: "card_object_id"},
	{name: "inactive card with an amount", sql: "UPDATE cards SET amount = 5" + onlyThis + "{inactive}", card: "inactive", row: audit.CardRow, figure: "amount"},
	{name: "inactive card with a currency", sql: "UPDATE cards SET currency = 'NOK'" + onlyThis + "{inactive}", card: "inactive", row: audit.CardRow, figure: "currency"},
	{name: "card of no type", sql: "UPDATE cards SET type = 'loyalty'" + ofCard, card: "busy", row: audit.CardRow, figure: "type"},
	{name: "card_id", sql: "UPDATE cards SET card_id = 'other'" + ofCard, card: "busy", row: audit.CardRow, figure: "search_text"},
	{name: "customer_id", sql: "UPDATE cards SET customer_id = 'other'" + ofCard, card: "busy", row: audit.CardRow, figure: "search_text"},
	{name: "search text", sql: "UPDATE cards SET search_text = 'other'" + ofCard, card: "busy", row: audit.CardRow, figure: "search_text"},
	{name: "deleted with open holds", sql: "UPDATE cards SET deleted_at = 5, deleted_by = 'x', deletion_id = {fund}" + ofCard, card: "busy", row: audit.CardRow, figure: "deleted_at"},
	{name: "deleted by nobody", sql: "UPDATE cards SET deleted_at = 5" + ofQuiet, card: "quiet", row: audit.CardRow, figure: "deleted_at"},
	{name: "undeleted", sql: "UPDATE cards SET deleted_at = NULL" + onlyThis + "{gone}", card: "gone", row: audit.CardRow, figure: "deleted_by"},
	{name: "card gone", sql: "DELETE FROM cards" + ofCard, card: "busy", row: audit.TxnRow, id: "fund", figure: "card_object_id"},
	{name: "card gone: its holds", sql: "DELETE FROM cards" + ofCard + ";DELETE FROM transactions WHERE account_id = {account} AND card_object_id = {busy}", card: "busy", row: audit.HoldRow, id: "pending", figure: "id"},
	{name: "card gone: its tokens", sql: "DELETE FROM cards" + ofCard, card: "busy", row: audit.TokenRow, id: "unused", figure: "card_object_id"},
	{name: "card's id", sql: "UPDATE cards SET id = {fund}" + ofCard, card: "busy", row: audit.TxnRow, id: "fund", figure: "card_object_id"},
	{name: "hold added", sql: "INSERT INTO holds (account_id, id, card_object_id, amount, locked, open) SELECT account_id, {fund}, card_object_id, 0, 0, NOT open FROM holds" + onlyThis + "{pending}", card: "busy", row: audit.HoldRow, id: "fund", figure: "id"},
	{name: "open hold added", sql: "INSERT INTO holds (account_id, id, card_object_id, amount, locked, open) SELECT account_id, {fund}, card_object_id, 5, 5, open FROM holds" + onlyThis + "{pending}", card: "busy", row: audit.CardRow, figure: "open_holds"},
	{name: "token unspent", sql: "UPDATE tokens SET spent_by = NULL" + onlyThis + "{single}", card: "busy", row: audit.TxnRow, id: "by_single", figure: "token_id"},
	{name: "token spent by another", sql: "UPDATE tokens SET spent_by = {by_multi}" + onlyThis + "{single}", card: "busy", row: audit.TokenRow, id: "single", figure: "spent_by"},
	{name: "token spent by nothing", sql: "UPDATE tokens SET spent_by = {busy}" + onlyThis + "{unused}", card: "busy", row: audit.TokenRow, id: "unused", figure: "spent_by"},
	{name: "token spent on another card", sql: "UPDATE tokens SET spent_by = {quiet_drawdown}" + onlyThis + "{unused}", card: "busy", row: audit.TokenRow, id: "unused", figure: "spent_by"},
	{name: "reusable token spent", sql: "UPDATE tokens SET spent_by = {by_multi}" + onlyThis + "{multi}", card: "busy", row: audit.TokenRow, id: "multi", figure: "spent_by"},
	{name: "token made single-use", sql: "UPDATE tokens SET single_use = NOT single_use" + onlyThis + "{multi}", card: "busy", row: audit.TxnRow, id: "by_multi", figure: "token_id"},
	{name: "token made reusable", sql: "UPDATE tokens SET single_use = NOT single_use" + onlyThis + "{single}", card: "busy", row: audit.TokenRow, id: "single", figure: "spent_by"},
	{name: "token on another card", sql: "UPDATE tokens SET card_object_id = {quiet}" + onlyThis + "{multi}", card: "busy", row: audit.TxnRow, id: "by_multi", figure: "token_id"},
	{name: "token on no card", sql: "UPDATE tokens SET card_object_id = {fund}" + onlyThis + "{unused}", card: "fund", row: audit.TokenRow, id: "unused", figure: "card_object_id"},
	{name: "token gone", sql: "DELETE FROM tokens" + onlyThis + "{multi}", card: "busy", row: audit.TxnRow, id: "by_multi", figure: "token_id"},
	{name: "token expires later", sql: "UPDATE tokens SET expires_at = expires_at + 1" + onlyThis + "{unused}", card: "busy", row: audit.TokenRow, id: "unused", figure: "expires_at"},
	{name: "token never expires", sql: "UPDATE tokens SET expires_at = NULL" + onlyThis + "{unused}", card: "busy", row: audit.TokenRow, id: "unused", figure: "expires_at"},
	{name: "card_id of bytes", sql: "UPDATE cards SET card_id = x'00ff'" + ofCard, card: "busy", row: audit.CardRow, figure: "card_id", liteOnly: true},
	{name: "token id that is none", sql: "UPDATE tokens SET id = 'zzz'" + onlyThis + "{unused}", card: "busy", row: audit.TokenRow, id: "zzz", figure: "id", liteOnly: true},
}

// edits numbers all edits that an engine lets happen, each with an account of its own.
func edits(db *database) (all []edit, accounts []string) {
	for _, e := range slices.Concat(projections, chains, properties) {
		if e.liteOnly && db.store.Postgres() {
			continue
		}
		accounts = append(accounts, fmt.Sprintf("T%08d", len(all)))
		all = append(all, e)
	}
	return all, accounts
}

// TestVerifyFindsEveryEdit makes one edit per account, and expects of each account
// the finding that names the row, and of a whole audit the same findings together.
func TestVerifyFindsEveryEdit(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		all, accounts := edits(db)
		fixtures := make([]map[string]string, len(all))
		for i := range all {
			fixtures[i] = db.fixture(accounts[i])
		}
		db.clean(audit.Options{})
		db.unguarded()
		var total int64
		for i, e := range all {
			db.exec(named(e.sql, fixtures[i]))
			report := db.verify(audit.Options{Account: accounts[i]})
			total += report.Findings.Total
			if !finds(report, e, accounts[i], fixtures[i]) {
				t.Errorf("%s: no %s finding about %s of %s %s among:", e.name, e.figure, e.row, e.card, e.id)
				for _, f := range report.Findings.First {
					t.Log("   ", f)
				}
			}
		}
		// A row that was moved into another account is found there, by an audit of all.
		const strays = 1
		if whole := db.verify(audit.Options{}); whole.Findings.Total != total+strays {
			t.Errorf("an audit of all accounts has %d findings, of each alone %d", whole.Findings.Total, total)
		}
		t.Logf("%d edits", len(all))
	})
}

// finds looks for the finding that an edit asks for, and checks that all findings
// are about the account.
func finds(report audit.Report, e edit, account string, ids map[string]string) bool {
	id := e.id
	if known, ok := ids[e.id]; ok {
		id = known
	}
	if e.row == audit.CardRow {
		id = ids[e.card]
	}
	return slices.ContainsFunc(report.Findings.First, func(f audit.Finding) bool {
		return f.Account == account && f.Card == ids[e.card] && f.Row == e.row && f.Figure == e.figure &&
			(f.ID == id || e.id == "FUND" || e.id == "missing" && f.ID == "" && f.Seq == e.seq) && f.String() != ""
	})
}

// TestOneWrongRowIsOneFinding: after an edited row the audit goes on from what is
// stored, so that the report shows the row and not everything behind it.
func TestOneWrongRowIsOneFinding(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		ids := db.fixture("T00000001")
		db.exec(named("UPDATE transactions SET created_by = 'somebody'"+onlyThis+"{fund}", ids))
		report := db.verify(audit.Options{})
		if report.Findings.Total != 1 || report.Findings.First[0].ID != ids["fund"] || report.Findings.First[0].Seq != 2 {
			t.Errorf("findings: %v", report.Findings.First)
		}
	})
}

// TestForgedRowWithItsOwnDigest edits a row and recomputes its digest: the next
// row tells, or for the last row the card.
func TestForgedRowWithItsOwnDigest(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		for name, next := range map[string]string{"drawdown": "pending", "last": ""} {
			account := fmt.Sprintf("T%08d", len(name))
			ids := db.fixture(account)
			db.forge(account, ids, name)
			report := db.verify(audit.Options{Account: account})
			want := edit{card: "busy", row: audit.TxnRow, id: next, figure: "digest"}
			if next == "" {
				want.row = audit.CardRow
			}
			if !finds(report, want, account, ids) {
				t.Errorf("%s forged: %v", name, report.Findings.First)
			}
			for _, figure := range []string{"amount_drawdown"} {
				if !finds(report, edit{card: "busy", row: audit.CardRow, figure: figure}, account, ids) {
					t.Errorf("%s forged, %s agrees: %v", name, figure, report.Findings.First)
				}
			}
		}
	})
}

// forge lifts the amount of a transaction and makes its digest fit.
func (db *database) forge(account string, ids map[string]string, name string) {
	db.t.Helper()
	txns, err := db.store.Transactions(context.Background(), account, uuid.MustParse(ids["busy"]), 0, 100)
	if err != nil {
		db.t.Fatal(err)
	}
	var before ledger.Digest
	for _, txn := range txns {
		if txn.ID.String() == ids[name] {
			txn.Amount++
			db.exec(named(fmt.Sprintf("UPDATE transactions SET amount = %d, digest = '%s'"+onlyThis+"{%s}",
				txn.Amount, ledger.Chain(before, account, &txn), name), ids))
			return
		}
		before = txn.Digest
	}
	db.t.Fatalf("no transaction %s", name)
}
