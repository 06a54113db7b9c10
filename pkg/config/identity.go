package config

import (
	"net"
	"net/url"
	"strings"
)

// Identity says whose tokens the server accepts.
type Identity struct {
	Issuer        string   `name:"issuer" env:"KORT_ISSUER" placeholder:"ISSUER" group:"Identity:" help:"The exact iss of the tokens to accept. With --dev it may be left out: the public URL."`
	AudienceBases []string `name:"audience-base" env:"KORT_AUDIENCE_BASE" placeholder:"URL" group:"Identity:" help:"What comes before /v1/accounts/<account> in the aud of a token; may be repeated, in the environment with commas. Left out: the public URL."`
	JWKS          string   `name:"jwks" env:"KORT_JWKS" placeholder:"URL|FILE" group:"Identity:" help:"Public keys of the issuer: the https:// address (http:// on this machine only) or the file of a JSON Web Key set. Followed while the server runs."`
}

func (i Identity) check(p *Problems) {
	for _, base := range i.AudienceBases {
		if !isBaseURL(base) {
			p.add("audience-base", "must be an http or https address without query and fragment, such as https://cards.example.com")
			break
		}
	}
	if i.HasKeyURL() && !isKeyURL(i.JWKS) {
		p.add("jwks", "must be an https:// address, an http:// address of this machine, or a file: "+
			"whoever can change keys on their way can sign tokens")
	}
}

// HasKeyURL says whether the keys have an address; otherwise JWKS is a file.
func (i Identity) HasKeyURL() bool { return strings.Contains(i.JWKS, "://") }

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
