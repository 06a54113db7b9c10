package repotest_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// resident is what one account holds: a card with a customer, history and a token.
type resident struct {
	account string
	card    ledger.Card
	txn     ledger.Transaction
	token   ledger.Token
}

// newResident gives each account the same texts, so that only the account tells
// the rows apart.
func newResident(t *testing.T, s *repository.Store, account string) resident {
	t.Helper()
	card := repotest.Card(t, "card")
	card.CustomerID, card.CreatedBy = "customer", account
	r := resident{account: account, card: card, txn: repotest.Txn(t, card.ID), token: repotest.Token(t, card.ID, "hash")}
	r.txn.RefID, r.token.RefID = "ref", "ref"
	r.txn.CreatedBy, r.token.CreatedBy = account, account
	hold := ledger.Hold{ID: r.txn.ID, Card: card.ID, Amount: 1, Locked: 1, Open: true}
	repotest.Save(t, s, account, ledger.Changes{
		NewCards: []ledger.Card{r.card}, Txns: []ledger.Transaction{r.txn},
		NewHolds: []ledger.Hold{hold}, NewTokens: []ledger.Token{r.token},
	})
	return r
}

// readers ask an account for what another has, and return whose rows came.
var readers = map[string]func(ctx context.Context, s *repository.Store, me, other resident) ([]string, error){
	"Card": func(ctx context.Context, s *repository.Store, me, _ resident) ([]string, error) {
		card, err := s.Card(ctx, me.account, "card")
		return []string{card.CreatedBy}, err
	},
	"CardDetails": func(ctx context.Context, s *repository.Store, me, _ resident) ([]string, error) {
		card, tokens, err := s.CardDetails(ctx, me.account, "card", repotest.Now)
		if err == nil && (len(tokens) == 0 || tokens[0].CreatedBy != card.CreatedBy) {
			return nil, errors.New("the card comes without its token")
		}
		return []string{card.CreatedBy}, err
	},
	"CustomerCard": func(ctx context.Context, s *repository.Store, me, _ resident) ([]string, error) {
		card, err := s.CustomerCard(ctx, me.account, "customer", "card")
		return []string{card.CreatedBy}, err
	},
	"CardByToken": func(ctx context.Context, s *repository.Store, me, _ resident) ([]string, error) {
		card, err := s.CardByToken(ctx, me.account, repotest.Now, "hash")
		return []string{card.CreatedBy}, err
	},
	"Cards": func(ctx context.Context, s *repository.Store, me, _ resident) ([]string, error) {
		cards, _, err := s.Cards(ctx, me.account, repository.Filter{IncludeDeleted: true}, repository.Page{Limit: 100})
		return creators(cards), err
	},
	"Cards, searching": func(ctx context.Context, s *repository.Store, me, _ resident) ([]string, error) {
		// The search is an alternative (text or amount): without brackets it would
		// reach around the account.
		cards, _, err := s.Cards(ctx, me.account, repository.Filter{Search: "0"}, repository.Page{Limit: 100})
		return creators(cards), err
	},
	"Cards, by status": func(ctx context.Context, s *repository.Store, me, _ resident) ([]string, error) {
		f := repository.Filter{Status: ledger.StatusUnused, Now: repotest.Now}
		cards, _, err := s.Cards(ctx, me.account, f, repository.Page{Limit: 100})
		return creators(cards), err
	},
	"CustomerCards": func(ctx context.Context, s *repository.Store, me, _ resident) ([]string, error) {
		cards, err := s.CustomerCards(ctx, me.account, "customer", repository.Page{Limit: 100})
		return creators(cards), err
	},
	"Tokens": func(ctx context.Context, s *repository.Store, me, other resident) ([]string, error) {
		mine, err := s.Tokens(ctx, me.account, me.card.ID, repotest.Now)
		if err != nil {
			return nil, err
		}
		theirs, err := s.Tokens(ctx, me.account, other.card.ID, repotest.Now)
		var by []string
		for _, token := range append(mine, theirs...) {
			by = append(by, token.CreatedBy)
		}
		return by, err
	},
	"Transactions": func(ctx context.Context, s *repository.Store, me, other resident) ([]string, error) {
		mine, err := s.Transactions(ctx, me.account, me.card.ID, 0, 100)
		if err != nil {
			return nil, err
		}
		theirs, err := s.Transactions(ctx, me.account, other.card.ID, 0, 100)
		var by []string
		for _, txn := range append(mine, theirs...) {
			by = append(by, txn.CreatedBy)
		}
		return by, err
	},
}

func creators(cards []ledger.Card) []string {
	var by []string
	for _, card := range cards {
		by = append(by, card.CreatedBy)
	}
	return by
}

const triedWithClients = "TestClientsStayInTheirAccount tries them all"

// beyondAccounts are the methods of a store that are not about one account's rows, or that are tried elsewhere.
var beyondAccounts = map[string]string{
	"PoolStats":     "counts connections, and reads nothing",
	"Migrate":       "the schema",
	"Migrations":    "the schema",
	"Pending":       "the schema",
	"Unknown":       "the schema",
	"Backup":        "the whole file, for whoever may read it",
	"CheckFile":     "the whole file",
	"ClaimDataKeys": "the installation's keys",
	"UseDataKey":    "the installation's keys",
	"DataKeys":      "the installation's keys",
	"Ping":          "the connection",
	"Connect":       "the connections",
	"Close":         "the connection",
	"Postgres":      "the engine",
	"Snapshot":      "each read inside names its account; pkg/audit tries them",
	"SnapshotPair":  "as Snapshot",
	"Write":         "the batch inside names its account: TestWritesStayInTheirAccount",

	"Client": triedWithClients, "Clients": triedWithClients, "AddClient": triedWithClients, "RevokeClient": triedWithClients,
	"GrantOf": triedWithClients, "Grants": triedWithClients, "AddGrant": triedWithClients, "RevokeGrant": triedWithClients,
	"AddHook":        "TestHooksStayInTheirAccount",
	"Hook":           "TestHooksStayInTheirAccount",
	"Hooks":          "TestHooksStayInTheirAccount",
	"HookDelivery":   "TestHooksStayInTheirAccount",
	"HookDeliveries": "TestHooksStayInTheirAccount",
	"HookFacts":      "TestHooksStayInTheirAccount",
	"PingHook":       "TestHooksStayInTheirAccount",
	"Redeliver":      "TestHooksStayInTheirAccount",
	"RemoveHook":     "TestHooksStayInTheirAccount",
	"RunHooks":       "TestHooksStayInTheirAccount",
	"DueHooks":       "tells whoever sends events which accounts have some",
	"PurgeHooks":     "removes what is old in all accounts",
	"ReleaseHooks":   "takes over from an earlier server, in all accounts",
}

func TestReadsStayInTheirAccount(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		a, b := newResident(t, s, repotest.Account), newResident(t, s, repotest.OtherAccount)
		for name, read := range readers {
			for _, side := range []struct{ me, other resident }{{a, b}, {b, a}} {
				by, err := read(t.Context(), s, side.me, side.other)
				if err != nil || !reflect.DeepEqual(by, []string{side.me.account}) {
					t.Errorf("%s of %s shows rows of %v, %v", name, side.me.account, by, err)
				}
			}
		}
	})
}

// A method that somebody adds to the store must be tried here, or its reason given.
func TestEveryReadIsTried(t *testing.T) {
	t.Parallel()
	methods := reflect.TypeFor[*repository.Store]()
	for i := range methods.NumMethod() {
		name := methods.Method(i).Name
		if _, tried := readers[name]; !tried && beyondAccounts[name] == "" {
			t.Errorf("nobody tries whether Store.%s stays in its account", name)
		}
	}
}

func TestUnknownAccountsHaveNothing(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		b := newResident(t, s, repotest.OtherAccount)
		nobody := resident{account: "T99999999", card: b.card}
		for name, read := range readers {
			by, err := read(t.Context(), s, nobody, b)
			found := len(by) > 0 && by[0] != ""
			if found || (err != nil && !errors.Is(err, repository.ErrNotFound)) {
				t.Errorf("%s of an account without cards: %v, %v", name, by, err)
			}
		}
	})
}

// Operations of one account that name another's rows by their ids, hashes and
// ref_ids find nothing and change nothing.
func TestWritesStayInTheirAccount(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		b := newResident(t, d.Store, repotest.OtherAccount)
		raw := d.Raw(t)
		before := raw.Snapshot(t)
		for name, op := range map[string]ledger.Operation{
			"drawdown": &ledger.Transact{ID: uuid.New(), Action: ledger.ActionDrawdown, CardID: "card", RefID: "ref"},
			"by token": &ledger.Transact{ID: uuid.New(), Action: ledger.ActionDrawdown, TokenHash: "hash", RefID: "ref"},
			"capture":  &ledger.Transact{ID: uuid.New(), Action: ledger.ActionCapture, Parent: b.txn.ID, RefID: "new"},
			"void":     &ledger.Transact{ID: uuid.New(), Action: ledger.ActionVoid, Parent: b.txn.ID, RefID: "ref"},
			"own row":  &ledger.Transact{ID: b.txn.ID, Action: ledger.ActionFund, CardID: "card", RefID: "ref"},
			"token":    &ledger.CreateToken{CardID: "card", New: ledger.NewToken{Token: b.token}},
			"PIN":      &ledger.RotatePIN{CardID: "card", ID: uuid.New(), PINFor: func(uuid.UUID) ledger.PIN { return ledger.PIN{} }},
			"look-up":  &ledger.CheckPIN{TokenHash: "hash"},
			"activate": &ledger.Activate{ID: uuid.New(), CardID: "card", Currency: ledger.NOK},
			"delete":   &ledger.DeleteCard{ID: uuid.New(), CardID: "card"},
		} {
			_, errs := repotest.Post(t, d.Store, repotest.Account, repotest.Now, op)
			var refusal *ledger.Refusal
			if !errors.As(errs[0], &refusal) || refusal.Code != ledger.CodeNotFound {
				t.Errorf("%s: %v, want not_found", name, errs[0])
			}
		}
		if after := raw.Snapshot(t); !reflect.DeepEqual(after, before) {
			t.Errorf("another account's rows changed:\n%v\nbefore:\n%v", after, before)
		}

		// And what the other account has does not get in the way.
		card := repotest.Card(t, "card")
		token := ledger.NewToken{Token: repotest.Token(t, card.ID, ""), Candidates: []ledger.TokenCandidate{{Hash: "hash"}}}
		_, errs := repotest.Post(t, d.Store, repotest.Account, repotest.Now,
			&ledger.CreateCards{Cards: []ledger.NewCard{{Card: card, Token: &token}}},
			&ledger.Transact{ID: repotest.ID(t), Action: ledger.ActionFund, CardID: "card", RefID: "ref", Currency: ledger.NOK})
		for _, err := range errs {
			if err != nil {
				t.Errorf("the same texts in another account: %v", err)
			}
		}
	})
}
