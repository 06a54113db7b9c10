package config

import (
	"net"
	"strings"
	"time"
)

// Sandbox holds the settings of sandbox. They have no environment variables: one that was set for a server must not
// reach a sandbox.
type Sandbox struct {
	Addr     string   `name:"addr" default:"localhost:8080" placeholder:"HOST:PORT" help:"Address to listen on; port 0 takes any free one. Whoever reaches it may steer the sandbox, so without a host it is reached from this machine only; 0.0.0.0 is for a container."`
	Hosts    []string `name:"host" placeholder:"NAME" help:"Host name that requests to the control API may use besides localhost and IP addresses, such as the name of the service in a compose file; may be repeated."`
	DataDir  string   `name:"data-dir" placeholder:"DIR" help:"Directory to keep the database, the account and the snapshots in; made when missing. Without one they are temporary. Clocks, faults and request logs are temporary in any case."`
	Seed     string   `name:"seed" placeholder:"FILE" help:"JSON file with cards to begin with, as the operation seed_account takes them; - is the standard input. A kept account that has cards already is left as it is."`
	UntilEOF bool     `name:"until-eof" help:"End when the standard input ends, so that the sandbox never outlives the program that started it."`
	Log
}

// Validate says all that is wrong.
func (s Sandbox) Validate() error {
	var p Problems
	if _, port, err := net.SplitHostPort(s.Addr); err != nil || !isPort(port) {
		p = append(p, Problem{Setting: "--addr", Reason: "must be a host and a port, such as localhost:8080 or :0"})
	}
	if s.UntilEOF && s.Seed == "-" {
		p = append(p, Problem{Setting: "--seed", Reason: "cannot be the standard input beside --until-eof"})
	}
	return p.err()
}

// Serve are the settings of the server in a sandbox whose files are in a directory.
func (s Sandbox) Serve(directory string) Serve {
	addr := s.Addr
	if strings.HasPrefix(addr, ":") {
		addr = "localhost" + addr
	}
	return Serve{
		Dev:      true,
		Database: Database{Directory: Directory{DataDir: directory}},
		Listen: Listen{
			Addr: addr, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
			WriteTimeout: 15 * time.Minute, // longer than the longest latency that a fault can have
			IdleTimeout:  2 * time.Minute,
			// A connection that was opened and never used, as clients do that have webhooks sent to the inbox, is waited for 5 s.
			ShutdownTimeout: 15 * time.Second,
		},
		Identity: Identity{TokenTTL: DefaultTokenTTL},
		Log:      s.Log,
	}
}
