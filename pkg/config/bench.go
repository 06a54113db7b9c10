package config

import (
	"net/url"
	"strconv"
	"time"
)

// Bench holds the settings of bench.
type Bench struct {
	Engine      string `name:"engine" default:"both" enum:"sqlite,postgres,both" placeholder:"ENGINE" help:"Database to measure on: ${enum}. Default: ${default}."`
	Connections int    `name:"connections" default:"64" placeholder:"N" help:"Connections that send requests at the same time. Default: ${default}."`
	Cards       int    `name:"cards" default:"10000" placeholder:"N" help:"Cards to spread the requests over. Default: ${default}."`
	Accounts    int    `name:"accounts" default:"1000" placeholder:"N" help:"Accounts to spread the requests of one part over. Default: ${default}."`
	ListCards   int    `name:"list-cards" default:"1000000" placeholder:"N" help:"Cards of the account whose cards are listed. Default: ${default}."`
	HistoryTxns int    `name:"history-transactions" default:"100000" placeholder:"N" help:"Transactions of the card whose history is listed. Default: ${default}."`

	OverloadConnections int    `name:"overload-connections" default:"2500" placeholder:"N" help:"Connections that offer more requests than the server can take. Default: ${default}."`
	GrowthCards         int    `name:"growth-cards" default:"1000000" placeholder:"N" help:"Cards of the largest database of the part growth. Default: ${default}."`
	GrowthTxns          int    `name:"growth-transactions" default:"10000000" placeholder:"N" help:"Transactions of the largest database of the part growth. Default: ${default}."`
	Plot                string `name:"plot" type:"path" placeholder:"FILE" help:"File to draw the part growth into, as SVG."`

	Only             string        `name:"only" placeholder:"PARTS" help:"Parts to measure, such as P1,P2. There are P1, P1b, P2 to P10, mix, overload and growth. Empty: all but the last two."`
	Duration         time.Duration `name:"duration" default:"3s" placeholder:"DURATION" help:"Length of a run. Default: ${default}."`
	Runs             int           `name:"runs" default:"3" placeholder:"N" help:"Runs of each workload, after a warm-up; the medians are reported. Default: ${default}."`
	DatabaseURL      Secret        `name:"database-url" env:"KORT_BENCH_DATABASE_URL" placeholder:"URL" help:"PostgreSQL to measure on, whose user may create databases: a new one is made there and dropped afterwards. With a password it belongs in the environment: other users can read a command line. Empty: a PostgreSQL is started from the programs on this machine, and removed afterwards."`
	PostgresSettings []string      `name:"postgres-setting" sep:"none" placeholder:"SETTING" help:"Line for the configuration of the PostgreSQL that is started, such as 'shared_buffers = 2GB'. May be repeated. Without any it is as newly installed."`
	Dir              string        `name:"dir" placeholder:"DIR" help:"Directory for the temporary data. Empty: that of the system. Commits cost nothing on a file system in memory."`
	ProfileDir       string        `name:"profile-dir" type:"path" placeholder:"DIR" help:"Directory to write CPU, allocation and mutex profiles of the server into. They cost a little speed."`
	JSON             bool          `name:"json" help:"Print the report as JSON, with every single run."`
}

// Bounds of a benchmark.
const (
	maxBenchConnections = 1000
	maxBenchCards       = 1_000_000
	maxBenchAccounts    = 4000 // a server remembers about as many tokens
	maxBenchListCards   = 100_000_000
	maxBenchHistoryTxns = 1_000_000
	maxBenchGrowthTxns  = 1_000_000_000
	// Two files for each, and the port of each.
	maxBenchOverloadConnections = 25_000
	maxBenchRuns                = 100
	minBenchDuration            = 100 * time.Millisecond
)

// SQLite says whether to measure on SQLite.
func (b Bench) SQLite() bool { return b.Engine != "postgres" }

// Postgres says whether to measure on PostgreSQL.
func (b Bench) Postgres() bool { return b.Engine != "sqlite" }

// Validate says all that is wrong.
func (b Bench) Validate() error {
	var p Problems
	p.addBenchRange("connections", b.Connections, maxBenchConnections)
	p.addBenchRange("cards", b.Cards, maxBenchCards)
	p.addBenchRange("accounts", b.Accounts, maxBenchAccounts)
	p.addBenchRange("list-cards", b.ListCards, maxBenchListCards)
	p.addBenchRange("history-transactions", b.HistoryTxns, maxBenchHistoryTxns)
	p.addBenchRange("overload-connections", b.OverloadConnections, maxBenchOverloadConnections)
	p.addBenchRange("growth-cards", b.GrowthCards, maxBenchListCards)
	p.addBenchRange("growth-transactions", b.GrowthTxns, maxBenchGrowthTxns)
	p.addBenchRange("runs", b.Runs, maxBenchRuns)
	if b.Duration < minBenchDuration || b.Duration > maxTimeout {
		p = append(p, Problem{Setting: "--duration", Reason: "must be from " + minBenchDuration.String() + " to " + maxTimeout.String()})
	}
	b.checkDatabaseURL(&p)
	if len(b.PostgresSettings) > 0 && (b.DatabaseURL != "" || !b.Postgres()) {
		p = append(p, Problem{Setting: "--postgres-setting", Reason: "is for the PostgreSQL that is started: leave out --database-url and --engine sqlite"})
	}
	return p.err()
}

func (b Bench) checkDatabaseURL(p *Problems) {
	if b.DatabaseURL == "" {
		return
	}
	const setting = "--database-url (KORT_BENCH_DATABASE_URL)"
	if !b.Postgres() {
		*p = append(*p, Problem{Setting: setting, Reason: "does not go with --engine sqlite: leave out one of them"})
	}
	parsed, err := url.Parse(b.DatabaseURL.Reveal())
	if err != nil || parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" {
		*p = append(*p, Problem{Setting: setting, Reason: "must be a PostgreSQL URL, such as postgres://kort@db.example.com/postgres"})
	}
}

// BenchServer holds the settings of the server that a benchmark starts.
type BenchServer struct {
	Serve
	Account  string `name:"account" required:"" help:"Account of the tokens."`
	Tokens   int    `name:"tokens" required:"" help:"Number of tokens to print."`
	Accounts int    `name:"accounts" help:"Number of further accounts, with the numbers that follow, to print a token for."`
	Quiet    bool   `name:"quiet" help:"Do not repeat errors on stderr: under overload each request has one."`
	Kind     string `name:"kind" default:"kort" enum:"kort,singly,no-ledger,echo" help:"What to serve: the server; one that commits each operation singly; one that commits nothing; a bare Echo handler."`

	ProfileDir string `name:"profile-dir" help:"Directory to write profiles into."`
}

// addBenchRange notes a number that is out of range. These flags are a choice of the
// moment and have no environment variable.
func (p *Problems) addBenchRange(flag string, n, most int) {
	if n < 1 || n > most {
		*p = append(*p, Problem{Setting: "--" + flag, Reason: "must be from 1 to " + strconv.Itoa(most)})
	}
}
