package config

import (
	"time"
	"unicode"
)

// Clients holds what the commands on API clients have in common.
type Clients struct {
	Database
	Account string `name:"account" required:"" placeholder:"T12345678" help:"Account of the client: P (live) or T (test) and eight digits."`
}

// Validate says all that is wrong.
func (c Clients) Validate() error {
	var p Problems
	c.check(&p)
	return p.err()
}

func (c Clients) check(p *Problems) {
	c.Database.check(p)
	if c.Account != "" { // the parser says that it is missing
		p.addAccount(c.Account)
	}
}

// ClientsCreate holds the settings of clients create. The parser fills ${scopes} with all scopes and refuses others.
type ClientsCreate struct {
	Clients
	Secrets
	Name        string   `name:"name" required:"" placeholder:"NAME" help:"What to call the client, such as web-shop."`
	Description string   `name:"description" placeholder:"TEXT" help:"What it is for."`
	Scopes      []string `name:"scope" required:"" enum:"${scopes}" placeholder:"SCOPE" help:"What its tokens permit; may be repeated. One of ${scope_list}."`
}

// Validate says all that is wrong.
func (c ClientsCreate) Validate() error {
	var p Problems
	c.Clients.check(&p)
	c.Secrets.check(&p)
	if c.Name != "" && !isLabel(c.Name) {
		p = append(p, Problem{Setting: "--name", Reason: "must have 1 to 255 characters and no control characters"})
	}
	if c.Description != "" && !isLabel(c.Description) {
		p = append(p, Problem{Setting: "--description", Reason: "must have 1 to 255 characters and no control characters"})
	}
	return p.err()
}

func isLabel(text string) bool {
	runes := []rune(text)
	for _, r := range runes {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return false
		}
	}
	return len(runes) > 0 && len(runes) <= maxSubject
}

// ClientsRevoke holds the settings of clients revoke.
type ClientsRevoke struct {
	Clients
	Client string `name:"client" required:"" placeholder:"ID" help:"Id of the client, as clients list shows it."`
}

// SigningKeyFile names the file that a command on signing keys works on.
type SigningKeyFile struct {
	File string `name:"signing-key-file" env:"KORT_SIGNING_KEY_FILE" required:"" placeholder:"FILE" help:"File with the signing keys, as serve reads it. Of serve --dev: signing-key.json in its data directory."`
}

// SigningKeyRotate holds the settings of signing-key rotate.
type SigningKeyRotate struct {
	SigningKeyFile
	In   time.Duration `name:"in" default:"10s" placeholder:"DURATION" help:"When the new key begins to sign: when every server that reads this file has noticed it. More when the file has to be carried to other machines first, or when others keep the public keys for a while."`
	Keep time.Duration `name:"keep" default:"24h" placeholder:"DURATION" help:"For how long after that tokens of the old key are accepted: as long as the longest of them live. 0s, with --in=0s, when the old key has fallen into wrong hands: its tokens end at once."`
}

// maxRotation bounds the times of a rotation.
const maxRotation = 90 * 24 * time.Hour

// Validate says all that is wrong.
func (s SigningKeyRotate) Validate() error {
	var p Problems
	if s.In < 0 || s.In > maxRotation {
		p = append(p, Problem{Setting: "--in", Reason: "must be from 0s to 2160h, such as 10m"})
	}
	if s.Keep < 0 || s.Keep > maxRotation {
		p = append(p, Problem{Setting: "--keep", Reason: "must be from 0s to 2160h, such as 24h"})
	}
	return p.err()
}
