package config

import (
	"math"
	"strconv"
	"time"
)

// EnvDataKey is the environment variable with the data key itself. It has no flag:
// other users can read a command line.
const EnvDataKey = "KORT_DATA_KEY"

// Serve holds the settings of serve.
type Serve struct {
	Dev bool `name:"dev" env:"KORT_DEV" help:"For a trial on this machine: make what is missing (data directory, signing key, data key), keep it for the next start, and print a token."`

	Database
	Storage
	Listen
	Identity
	Secrets
	Rules
	WritePath
	Hooks
	Log
	Metrics
	// Tracing is the value of standard variables, which the command reads.
	Tracing Tracing `kong:"-"`
}

// Storage says how serve treats its database.
type Storage struct {
	Migrate    bool `name:"migrate" env:"KORT_MIGRATE" group:"Data:" help:"Bring the schema of a PostgreSQL up to date at start. Left out: refuse to start on one that is behind. SQLite is always brought up to date."`
	ReadConns  int  `name:"read-conns" env:"KORT_READ_CONNS" default:"0" placeholder:"N" group:"Data:" help:"Largest number of connections for reading; on SQLite all are opened at the start, with two file descriptors each. 0 for a number that suits the engine."`
	WriteConns int  `name:"write-conns" env:"KORT_WRITE_CONNS" default:"0" placeholder:"N" group:"Data:" help:"Largest number of connections for writing to PostgreSQL (SQLite has one writer). 0 for a number that suits the engine."`
}

func (s Storage) check(p *Problems) {
	p.addRange("read-conns", s.ReadConns, 0, maxConns)
	p.addRange("write-conns", s.WriteConns, 0, maxConns)
}

// Rules are the choices the API leaves to whoever runs it.
type Rules struct {
	RequirePIN        bool    `name:"require-pin" env:"KORT_REQUIRE_PIN" group:"Rules:" help:"Demand the PIN of a card that has one when the card is used by token."`
	RatePerSecond     float64 `name:"rate-limit" env:"KORT_RATE_LIMIT" default:"0" placeholder:"N" group:"Rules:" help:"Requests per second that a principal may make in the long run; more are answered with 429. 0 for no limit."`
	RateBurst         int     `name:"rate-burst" env:"KORT_RATE_BURST" default:"50" placeholder:"N" group:"Rules:" help:"Requests that a principal may make at once, where there is a rate limit."`
	DocsTryIt         bool    `name:"docs-try-it" env:"KORT_DOCS_TRY_IT" group:"Rules:" help:"Let the reference at /docs send requests to this server, with a token that its reader has. With --dev it always does."`
	ValidateResponses bool    `name:"validate-responses" env:"KORT_VALIDATE_RESPONSES" group:"Rules:" help:"Check each answer against the specification before it is sent. Costs time; meant for tests."`
}

func (r Rules) check(p *Problems) {
	if r.RatePerSecond < 0 || math.IsNaN(r.RatePerSecond) || math.IsInf(r.RatePerSecond, 0) {
		p.add("rate-limit", "must be a number of requests per second, such as 20 or 0.5, or 0 for no limit")
	}
	p.addRange("rate-burst", r.RateBurst, 1, maxBurst)
}

// WritePath bounds the queue of operations. The parser fills in the defaults.
type WritePath struct {
	MaxQueue   int `name:"max-queue" env:"KORT_MAX_QUEUE" default:"${max_queue}" placeholder:"N" group:"Write path:" help:"Operations that may wait for a commit; beyond that requests are answered with 503."`
	MaxBatch   int `name:"max-batch" env:"KORT_MAX_BATCH" default:"${max_batch}" placeholder:"N" group:"Write path:" help:"Operations that share one commit at most."`
	Committers int `name:"committers" env:"KORT_COMMITTERS" default:"${committers}" placeholder:"N" group:"Write path:" help:"Commits that PostgreSQL works on at once."`
}

func (w WritePath) check(p *Problems) {
	p.addRange("max-queue", w.MaxQueue, 1, maxQueue)
	p.addRange("max-batch", w.MaxBatch, 1, maxBatch)
	p.addRange("committers", w.Committers, 1, maxConns)
}

// Log says what the log on stderr looks like.
type Log struct {
	Format string `name:"log-format" env:"KORT_LOG_FORMAT" default:"auto" enum:"auto,json,text" placeholder:"FORMAT" group:"Log:" help:"Form of the log on stderr: json, text, or auto for text on a terminal and json elsewhere."`
	Level  string `name:"log-level" env:"KORT_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" placeholder:"LEVEL" group:"Log:" help:"Least level that is logged: debug, info, warn or error."`
}

// The upper bounds catch a slip of the pen; none of them is a recommendation.
const (
	maxConns = 1000
	maxBurst = 1_000_000
	maxQueue = 1_000_000 // operations
	maxBatch = 10_000    // operations
	// maxTimeout bounds every time-out.
	maxTimeout = time.Hour
)

// Validate says all that is wrong.
func (s Serve) Validate() error {
	var p Problems
	s.Database.check(&p)
	s.Storage.check(&p)
	s.Listen.check(&p)
	s.Identity.check(&p)
	s.Secrets.check(&p)
	s.Rules.check(&p)
	s.WritePath.check(&p)
	s.Metrics.check(&p, s.Addr)
	s.Tracing.check(&p)
	s.Hooks.check(&p)
	if s.Dev {
		s.checkDev(&p)
	} else {
		s.checkComplete(&p)
	}
	return p.err()
}

// checkDev refuses what --dev brings along.
func (s Serve) checkDev(p *Problems) {
	if s.JWKS != "" {
		p.add("jwks", "does not go with --dev, which signs and verifies with a key of its own: leave out one of them")
	}
	if s.SigningKeyFile != "" {
		p.add("signing-key-file", "does not go with --dev, which keeps its own in the data directory: leave out one of them")
	}
}

// checkComplete asks for everything that only --dev makes up.
func (s Serve) checkComplete(p *Problems) {
	before := len(*p)
	issues := s.SigningKeyFile != ""
	nobody := !issues && s.JWKS == "" && len(s.Trust) == 0
	if nobody || !issues && s.JWKS == "" && s.Issuer != "" {
		p.add("jwks", "missing; the public keys of the issuer of your tokens, as the https:// address or the file of a JSON Web Key set "+
			"(or let the server issue them: --signing-key-file)")
	}
	if s.Issuer == "" && (nobody || s.JWKS != "") {
		p.add("issuer", "missing; the iss of your tokens, such as https://auth.example.com/")
	}
	if s.PublicURL == "" && (len(s.AudienceBases) == 0 || issues && s.OwnIssuer("") == "") {
		p.add("public-url", "missing; the address at which clients reach this server, such as https://cards.example.com: "+
			"the aud of a token is this address and /v1/accounts/<account>")
	}
	if s.DataKeyFile == "" && s.DataKey == "" {
		p.add("data-key-file", "missing; the file with the key under which tokens and PINs are stored (make one with: "+
			"kort keys new --out FILE), or the key itself in "+EnvDataKey)
	}
	if len(*p) > before {
		*p = append(*p, Problem{Reason: "For a trial on this machine none of this is needed: kort serve --dev"})
	}
}

// addRange notes a number that is out of range.
func (p *Problems) addRange(flag string, n, least, most int) {
	if n < least || n > most {
		p.add(flag, "must be from "+strconv.Itoa(least)+" to "+strconv.Itoa(most))
	}
}
