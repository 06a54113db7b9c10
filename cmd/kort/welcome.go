package main

import (
	"os"
	"text/template"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
)

// What a development server prints for a first try.
const (
	welcomeAccount = "T12345678"
	welcomeSubject = "dev"
	welcomeTTL     = 24 * time.Hour

	// defaultDataDir need not be named in the commands that are printed.
	defaultDataDir = "kort-data"
)

// The card id has the time in it, so that the command works after each start.
var welcomeText = template.Must(template.New("welcome").Parse(`
Kort listens on {{.URL}}/v1
  for a trial on this machine: the keys lie beside the data, in {{.Dir}}
  cards are kept in {{.Engine}}

A token for the test account {{.Account}} with all rights, valid for {{.TTL}}:

export TOKEN={{.Token}}

Create a card:

curl -s {{.URL}}/v1/accounts/{{.Account}}/wallets/cards \
  -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
  -d '{"card_id":"{{.Card}}","type":"gift_card","amount":10000,"currency":"NOK"}'

Then
  try it in a browser  {{.Docs}}
  list the cards       curl -s {{.URL}}/v1/accounts/{{.Account}}/wallets/cards -H "Authorization: Bearer $TOKEN"
  get other tokens     {{.Command}} token{{.Where}} --account {{.Account}} --scope read:wallets
{{- if not .Postgres}}
  make API clients     {{.Command}} clients create{{.Where}} --account {{.Account}} --name till --scope write:wallets
  check all balances   {{.Command}} verify{{.Where}}
{{- end}}
  stop the server      Ctrl-C

`))

// welcome prints where the server is and a first request that works as it stands.
func (s *server) welcome(term *terminal) error {
	now := time.Now()
	token, err := s.signingKeys.Mint(auth.Claims{
		Account: welcomeAccount, Issuer: s.identity.Issuer, AudienceBase: s.identity.AudienceBases[0],
		Subject: welcomeSubject, Scopes: []string{auth.ScopeAdmin, auth.ScopeAdminHooks}, TTL: welcomeTTL,
	})
	if err != nil {
		return err
	}
	settings := s.settings
	engine, where := "SQLite, the file "+settings.SQLiteFile(), ""
	if settings.Postgres() {
		engine = "PostgreSQL"
	}
	if settings.DataDir != defaultDataDir {
		where = " --data-dir " + shellQuote(settings.DataDir)
	}
	return welcomeText.Execute(term.stdout, map[string]any{
		"URL": s.identity.PublicURL, "Docs": s.docsURL(welcomeAccount, token), "Account": welcomeAccount, "TTL": "24 hours", "Token": token,
		"Card":    "card-" + now.UTC().Format("20060102-150405"),
		"Command": invocation(os.Args[0]), "Dir": settings.DataDir, "Where": where,
		"Engine": engine, "Postgres": settings.Postgres(),
	})
}
