package config

import (
	"strconv"
	"time"
)

// The bounds of proof catch a slip of the pen.
const (
	minProofSeconds, maxProofSeconds = 1, 7 * 24 * 3600
	maxProofClients                  = 1000
	maxProofParallel                 = 16
)

// Proof holds the settings of proof.
type Proof struct {
	Seconds  int      `name:"seconds" default:"1800" placeholder:"N" help:"Time to divide among the attacks. What it takes to prepare and to check comes on top."`
	Parallel int      `name:"parallel" default:"1" placeholder:"N" help:"Attacks that go on at the same time. More than one, and the figures of each say less."`
	Only     []string `name:"only" placeholder:"ATTACK" help:"Carry out these attacks only; may be repeated. One of ${attacks}."`
	Engine   string   `name:"engine" default:"both" enum:"both,sqlite,postgres" placeholder:"ENGINE" help:"Database to attack: sqlite, postgres or both."`
	Seed     uint64   `name:"seed" placeholder:"N" help:"Draw the same as another time. Left out: a seed by the clock, which is printed."`
	Clients  int      `name:"clients" default:"8" placeholder:"N" help:"Clients that send requests at the same time."`
	Dir      string   `name:"dir" placeholder:"DIR" help:"Directory for the temporary data. Left out: the system's."`
	JSON     bool     `name:"json" help:"Print the report as JSON."`
}

// Validate says all that is wrong.
func (s Proof) Validate() error {
	var p Problems
	if s.Seconds < minProofSeconds || s.Seconds > maxProofSeconds {
		p = append(p, Problem{Setting: "--seconds", Reason: "must be from " + strconv.Itoa(minProofSeconds) + " to " + strconv.Itoa(maxProofSeconds)})
	}
	p.addBenchRange("clients", s.Clients, maxProofClients)
	p.addBenchRange("parallel", s.Parallel, maxProofParallel)
	return p.err()
}

// SQLite tells whether the embedded database is attacked.
func (s Proof) SQLite() bool { return s.Engine != "postgres" }

// Postgres tells whether PostgreSQL is attacked.
func (s Proof) Postgres() bool { return s.Engine != "sqlite" }

// Budget is the time to divide.
func (s Proof) Budget() time.Duration { return time.Duration(s.Seconds) * time.Second }
