package config

import "net"

// Health holds the settings of health.
type Health struct {
	Addr string `name:"addr" env:"KORT_ADDR" default:"localhost:8080" placeholder:"HOST:PORT" help:"Address that the server listens on, as it was given to it."`
}

// Validate says all that is wrong.
func (h Health) Validate() error {
	var p Problems
	if _, port, err := net.SplitHostPort(h.Addr); err != nil || !isPort(port) {
		p.add("addr", "must be a host and a port, such as localhost:8080 or :8080")
	}
	return p.err()
}
