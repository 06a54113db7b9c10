package config

import "time"

// Token holds the settings of token. The parser fills ${scopes} with the scopes of
// the API and refuses others.
type Token struct {
	Directory
	Account string        `name:"account" required:"" placeholder:"T12345678" help:"Account that the token opens: P (live) or T (test) and eight digits."`
	Scopes  []string      `name:"scope" required:"" enum:"${scopes}" placeholder:"SCOPE" help:"What the token permits; may be repeated. One of ${scope_list}."`
	Subject string        `name:"sub" default:"dev" placeholder:"SUBJECT" help:"Who the token stands for, recorded as created_by. With user:wallets: the customer id whose cards it opens."`
	TTL     time.Duration `name:"ttl" default:"12h" placeholder:"DURATION" help:"How long the token is valid, such as 90s, 30m or 12h."`
}

// maxSubject is the longest subject that a server accepts, in characters.
const maxSubject = 255

// Validate says all that is wrong.
func (t Token) Validate() error {
	var p Problems
	t.check(&p)
	if t.Account != "" { // the parser says that it is missing
		p.addAccount(t.Account)
	}
	if length := len([]rune(t.Subject)); length == 0 || length > maxSubject {
		p = append(p, Problem{Setting: "--sub", Reason: "must have 1 to 255 characters"})
	}
	if t.TTL < time.Second {
		p = append(p, Problem{Setting: "--ttl", Reason: "must be at least 1s, such as 12h"})
	}
	return p.err()
}
