package config

import (
	"net/url"
	"regexp"
	"time"
)

// The bounds of conformance catch a slip of the pen.
const (
	maxConformanceParallel = 256
	minConformanceTimeout  = 5 * time.Second
)

// Conformance holds the settings of conformance. Access tokens belong in the environment:
// other users can read a command line.
type Conformance struct {
	URL     string `name:"url" placeholder:"URL" help:"Where the API is, without /v1, such as https://cards.example.com."`
	Account string `name:"account" placeholder:"T12345678" help:"Account to work on. Left out: the one that the token is for."`
	Token   Secret `name:"token" env:"KORT_CONFORMANCE_TOKEN" placeholder:"JWT" help:"Access token with admin:wallets. It belongs in the environment: other users can read a command line. So do all others."`

	TokenReader   Secret `name:"token-reader" env:"KORT_CONFORMANCE_TOKEN_READER" placeholder:"JWT" help:"Access token with read:wallets only."`
	TokenWriter   Secret `name:"token-writer" env:"KORT_CONFORMANCE_TOKEN_WRITER" placeholder:"JWT" help:"Access token with write:wallets only."`
	TokenTill     Secret `name:"token-till" env:"KORT_CONFORMANCE_TOKEN_TILL" placeholder:"JWT" help:"Access token with write:wallets:/transactions only."`
	TokenInfo     Secret `name:"token-info" env:"KORT_CONFORMANCE_TOKEN_INFO" placeholder:"JWT" help:"Access token with write:wallets:/info only."`
	TokenCustomer Secret `name:"token-customer" env:"KORT_CONFORMANCE_TOKEN_CUSTOMER" placeholder:"JWT" help:"Access token with user:wallets only."`
	TokenOther    Secret `name:"token-other" env:"KORT_CONFORMANCE_TOKEN_OTHER" placeholder:"JWT" help:"Access token with admin:wallets for another account."`
	TokenExpired  Secret `name:"token-expired" env:"KORT_CONFORMANCE_TOKEN_EXPIRED" placeholder:"JWT" help:"Access token that expired more than a minute ago."`

	AllowWrites bool          `name:"allow-writes" help:"Make cards on the account, and remove them afterwards. Left out: only what changes nothing is checked."`
	AllowLive   bool          `name:"allow-live" help:"Work on a P account too, whose money is real."`
	Published   bool          `name:"published" help:"Check only what the published API promises, for servers without the additions of this one."`
	Only        string        `name:"only" placeholder:"REGEXP" help:"Carry out the checks whose names match only."`
	List        bool          `name:"list" help:"List the checks with their rules, and ask no server."`
	Strict      bool          `name:"strict" help:"Fail when a check was left undecided that further settings would decide."`
	JUnit       string        `name:"junit" placeholder:"FILE" help:"Write the report as JUnit XML too."`
	Parallel    int           `name:"parallel" default:"8" placeholder:"N" help:"Checks at the same time."`
	Timeout     time.Duration `name:"timeout" default:"60s" placeholder:"DURATION" help:"Longest time for one check."`
}

// Validate says all that is wrong.
func (s Conformance) Validate() error {
	var p Problems
	if s.Account != "" {
		p.addAccount(s.Account)
	}
	if _, err := regexp.Compile(s.Only); err != nil {
		p = append(p, Problem{Setting: "--only", Reason: "must be a regular expression, such as ^ref_id/"})
	}
	if s.Timeout < minConformanceTimeout {
		p = append(p, Problem{Setting: "--timeout", Reason: "must be at least " + minConformanceTimeout.String()})
	}
	p.addBenchRange("parallel", s.Parallel, maxConformanceParallel)
	if s.List {
		return p.err()
	}
	if at, err := url.Parse(s.URL); err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		p = append(p, Problem{Setting: "--url", Reason: "must be where the API is, such as https://cards.example.com"})
	}
	if s.Token == "" {
		p = append(p, Problem{Setting: "--token (" + EnvOf("conformance-token") + ")", Reason: "must be an access token with admin:wallets"})
	}
	return p.err()
}
