package audit

import (
	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// tokens checks a page of tokens. That every transaction by token is borne out by
// its token is checked with the transaction.
func (w *walker) tokens(page *repository.TokenPage) {
	w.scope.Tokens += int64(len(page.Rows))
	for i := range page.Rows {
		w.token(&page.Rows[i], page.Spent)
	}
}

func (w *walker) token(row *repository.TokenRecord, spent map[uuid.UUID]ledger.Transaction) {
	report := func(column, problem string) {
		w.report(Finding{
			Account: w.account, Card: row.CardKey, CardID: w.cardID(row.CardKey), Row: TokenRow, ID: row.Key,
			Figure: column, Problem: problem,
		})
	}
	for _, column := range row.Defects {
		report(column, unreadable)
	}
	if _, found := w.card(row.CardKey); !found {
		report("card_object_id", "names no card of the account")
	}
	token := &row.Token
	if !expiresRight(token) {
		report("expires_at", "is not created_at and expires_in together")
	}
	if token.SpentBy == uuid.Nil {
		return
	}
	txn, found := spent[token.SpentBy]
	switch {
	case !token.SingleUse:
		report("spent_by", "is given, but the token may be used again and again")
	case !found:
		report("spent_by", "names no transaction of the account")
	case txn.Card != token.Card:
		report("spent_by", "names a transaction of another card")
	case txn.Token != token.ID:
		report("spent_by", "names a transaction that was not made by this token")
	}
}

// microsPerSecond is how many microseconds a second has.
const microsPerSecond = 1_000_000

func expiresRight(t *ledger.Token) bool {
	if t.ExpiresIn == 0 || t.ExpiresAt == nil {
		return t.ExpiresIn == 0 && t.ExpiresAt == nil
	}
	return *t.ExpiresAt == t.CreatedAt+ledger.Micros(t.ExpiresIn)*microsPerSecond
}
