package config

import (
	"net/url"
	"path/filepath"
	"regexp"
	"time"
)

// Directory says where Kort keeps its files.
type Directory struct {
	DataDir string `name:"data-dir" env:"KORT_DATA_DIR" default:"kort-data" placeholder:"DIR" group:"Data:" help:"Directory of what Kort keeps on disk: the embedded database, and the keys that serve --dev makes."`
}

func (d Directory) check(p *Problems) {
	if d.DataDir == "" {
		p.add("data-dir", "must name a directory, such as /var/lib/kort")
	}
}

// Database says where the cards are.
type Database struct {
	Directory
	DatabaseURL Secret `name:"database-url" env:"KORT_DATABASE_URL" placeholder:"URL" group:"Data:" help:"PostgreSQL 15 or later, such as postgres://kort@db.example.com/kort. With a password it belongs in the environment: other users can read a command line. Empty for the embedded SQLite, the file kort.db in the data directory."`
}

// Postgres says whether the cards are on PostgreSQL; otherwise they are in SQLiteFile.
func (d Database) Postgres() bool { return d.DatabaseURL != "" }

// SQLiteFile is the path of the embedded database.
func (d Database) SQLiteFile() string { return filepath.Join(d.DataDir, "kort.db") }

// Validate checks the settings of a command that needs nothing but the database.
func (d Database) Validate() error {
	var p Problems
	d.check(&p)
	return p.err()
}

func (d Database) check(p *Problems) {
	d.Directory.check(p)
	if !d.Postgres() {
		return
	}
	parsed, err := url.Parse(d.DatabaseURL.Reveal())
	if err != nil || parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" {
		p.add("database-url", "must be a PostgreSQL URL, such as postgres://kort@db.example.com/kort, or empty for SQLite")
	}
}

// Audit holds what verify and rebuild have in common.
type Audit struct {
	Database
	Account string `name:"account" placeholder:"T12345678" help:"Look at one account only. Left out: at all of them."`
}

// Validate says all that is wrong.
func (a Audit) Validate() error {
	var p Problems
	a.check(&p)
	return p.err()
}

func (a Audit) check(p *Problems) {
	a.Database.check(p)
	if a.Account != "" {
		p.addAccount(a.Account)
	}
}

// Verify holds the settings of verify.
type Verify struct {
	Audit
	Heads      bool          `name:"heads" group:"Heads:" help:"Also print the head of each account when everything agrees: one hash over all its history until shortly before now. Kept where nobody can write who can write to the database, it shows later what the database cannot: see --head."`
	HeadMargin time.Duration `name:"head-margin" default:"2m" placeholder:"DURATION" group:"Heads:" help:"How long before now the heads of --heads end. A transaction bears the time at which its server decided it and is committed up to 45 seconds later; the clocks of all servers must agree within the rest. 0s when no server runs."`
	Head       []string      `name:"head" sep:"none" placeholder:"HEAD" group:"Heads:" help:"Work out again a head that --heads printed earlier, and say whether what it stands for is still there. May be given several times. Only a kept head shows that a card is gone with all its rows, or that somebody with the database made a whole chain of digests anew. It says nothing about what came after it."`
	HeadFile   string        `name:"head-file" type:"path" placeholder:"FILE" group:"Heads:" help:"As --head, for each head in a file: a line of an earlier output that begins with the word head. Other lines are passed over."`
	Save       string        `name:"save" type:"path" placeholder:"FILE" group:"What is new:" help:"When everything agrees, write down in FILE what was verified of each card, for --since: about 200 bytes a card."`
	Since      string        `name:"since" type:"path" placeholder:"FILE" group:"What is new:" help:"Check only what came since --save wrote FILE, and that every card of FILE is still there, goes on from the transaction with which FILE leaves it, and has the figures and open holds that follow. Older transactions and settled holds are not read: a full verify alone finds one that was edited in its place."`
}

var headPattern = regexp.MustCompile(`^([PT][0-9]{8}):[1-9][0-9]{0,17}:[0-9a-f]{64}:[0-9]{1,18}:[0-9]{1,18}$`)

// Validate says all that is wrong.
func (v Verify) Validate() error {
	var p Problems
	v.Audit.check(&p)
	problem := func(flag, reason string) { p = append(p, Problem{Setting: flag, Reason: reason}) }
	if v.HeadMargin < 0 {
		problem("--head-margin", "must not be negative")
	}
	for _, head := range v.Head {
		switch parts := headPattern.FindStringSubmatch(head); {
		case parts == nil:
			problem("--head", "must be a head as --heads prints it: account:microseconds:root:cards:transactions")
		case v.Account != "" && parts[1] != v.Account:
			problem("--head", "must be of the account of --account")
		}
	}
	if v.Since != "" && (v.Heads || len(v.Head) > 0 || v.HeadFile != "") {
		problem("--since", "reads too little for heads: leave it out, or leave out --heads, --head and --head-file")
	}
	return p.err()
}

// Rebuild holds the settings of rebuild.
type Rebuild struct {
	Audit
	Apply bool `name:"apply" help:"Write the corrections. Left out: only show them."`
}

// Checked says whether a copy of the database is looked at before it counts as one.
type Checked struct {
	Verify bool `name:"verify" negatable:"" default:"true" help:"Check the copy: each index against its table, and each balance against its history, as kort verify does. With --no-verify it may be damaged."`
}

// Backup holds the settings of backup.
type Backup struct {
	Database
	Out string `name:"out" required:"" placeholder:"FILE" help:"File to create; its owner alone may read it."`
	Checked
}

// Restore holds the settings of restore.
type Restore struct {
	Database
	From string `name:"from" required:"" placeholder:"FILE" help:"File that kort backup has made. It stays as it is."`
	Checked
}
