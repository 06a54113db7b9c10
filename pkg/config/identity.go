package config

import (
	"net"
	"net/url"
	"strings"
	"time"
)

// Identity says whose tokens the server accepts, and whether it issues some itself.
type Identity struct {
	Issuer         string        `name:"issuer" env:"KORT_ISSUER" placeholder:"ISSUER" group:"Identity:" help:"The exact iss of the tokens to accept: of those of --jwks, or else of the server's own, which then may be left out: the public URL."`
	AudienceBases  []string      `name:"audience-base" env:"KORT_AUDIENCE_BASE" placeholder:"URL" group:"Identity:" help:"What comes before /v1/accounts/<account> in the aud of a token; may be repeated, in the environment with commas. Left out: the public URL."`
	JWKS           string        `name:"jwks" env:"KORT_JWKS" placeholder:"URL|FILE" group:"Identity:" help:"Public keys of the issuer: the https:// address (http:// on this machine only) or the file of a JSON Web Key set. Followed while the server runs."`
	Trust          []string      `name:"trust" env:"KORT_TRUST" placeholder:"ISSUER=URL|FILE" group:"Identity:" help:"One more issuer whose tokens to accept: its iss, an equals sign, and its keys as in --jwks; may be repeated, in the environment with commas. A token is verified with the keys of the issuer that it names, and with no others."`
	SigningKeyFile string        `name:"signing-key-file" env:"KORT_SIGNING_KEY_FILE" placeholder:"FILE" group:"Identity:" help:"Issue tokens: file, readable by its owner only, with the keys to sign them with. Make one with kort signing-key new, add a key with kort signing-key rotate; a running server notices. With --dev there is one in the data directory."`
	TokenTTL       time.Duration `name:"token-ttl" env:"KORT_TOKEN_TTL" default:"4h" placeholder:"DURATION" group:"Identity:" help:"How long the tokens that the server issues are valid, from 1m to 24h."`
}

// The bounds of TokenTTL. A key that was rotated out is kept for the longest by default.
const (
	minTokenTTL = time.Minute
	MaxTokenTTL = 24 * time.Hour
	// DefaultTokenTTL is that of the flag, for a server that is not started by flags.
	DefaultTokenTTL = 4 * time.Hour
)

// TrustedIssuer is an issuer of tokens other than the server.
type TrustedIssuer struct {
	// Setting is the flag that it comes from.
	Setting string
	// Name is its exact iss.
	Name string
	// Keys are the address or the file of its keys.
	Keys string
}

// HasKeyURL says whether the keys have an address; otherwise they are in a file.
func (i TrustedIssuer) HasKeyURL() bool { return strings.Contains(i.Keys, "://") }

// TrustedIssuers are all that are configured.
func (i Identity) TrustedIssuers() []TrustedIssuer {
	var all []TrustedIssuer
	if i.JWKS != "" {
		all = append(all, TrustedIssuer{Setting: "jwks", Name: i.Issuer, Keys: i.JWKS})
	}
	for _, pair := range i.Trust {
		name, keys, _ := strings.Cut(pair, "=")
		all = append(all, TrustedIssuer{Setting: "trust", Name: name, Keys: keys})
	}
	return all
}

// OwnIssuer is the iss of the tokens that the server issues itself.
func (i Identity) OwnIssuer(publicURL string) string {
	if i.Issuer != "" && i.JWKS == "" {
		return i.Issuer
	}
	return publicURL
}

func (i Identity) check(p *Problems) {
	for _, base := range i.AudienceBases {
		if !isBaseURL(base) {
			p.add("audience-base", "must be an http or https address without query and fragment, such as https://cards.example.com")
			break
		}
	}
	names := map[string]bool{}
	for _, issuer := range i.TrustedIssuers() {
		switch {
		case issuer.Setting == "trust" && (issuer.Name == "" || issuer.Keys == ""):
			p.add("trust", "must be the iss of the tokens, an equals sign and the keys, such as https://auth.example.com/=https://auth.example.com/keys")
		case issuer.HasKeyURL() && !isKeyURL(issuer.Keys):
			p.add(issuer.Setting, "must be an https:// address, an http:// address of this machine, or a file: "+
				"whoever can change keys on their way can sign tokens")
		case names[issuer.Name]:
			p.add(issuer.Setting, "has an issuer that is given twice: whose keys are its own?")
		}
		names[issuer.Name] = true
	}
	if i.TokenTTL < minTokenTTL || i.TokenTTL > MaxTokenTTL {
		p.add("token-ttl", "must be from 1m to 24h, such as 4h")
	}
}

// Audiences are the bases of the audiences to accept; publicURL is the one where
// none is set.
func (i Identity) Audiences(publicURL string) []string {
	if len(i.AudienceBases) == 0 {
		return []string{publicURL}
	}
	return i.AudienceBases
}

func isKeyURL(text string) bool {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" {
		return false
	}
	return parsed.Scheme == "https" || parsed.Scheme == "http" && isLoopback(parsed.Hostname())
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// Secrets says where the data key is.
type Secrets struct {
	DataKeyFile string `name:"data-key-file" env:"KORT_DATA_KEY_FILE" placeholder:"FILE" group:"Identity:" help:"File, readable by its owner only, with the keys under which tokens and PINs are stored, one a line, the current one first. Make one with kort keys new, add one with kort keys rotate."`
	// DataKey is the value of EnvDataKey, which the command reads.
	DataKey Secret `kong:"-"`
}

func (s Secrets) check(p *Problems) {
	if s.DataKeyFile != "" && s.DataKey != "" {
		p.add("data-key-file", "does not go with "+EnvDataKey+": which of the two is meant? Leave out one of them")
	}
}
