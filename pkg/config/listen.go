package config

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Listen says where the server listens and how long it waits.
type Listen struct {
	Addr              string        `name:"addr" env:"KORT_ADDR" default:"localhost:8080" placeholder:"HOST:PORT" group:"Network:" help:"Address to listen on. The default is reached from this machine only, as Kort speaks plain HTTP: use :8080 behind a proxy that adds TLS."`
	PublicURL         string        `name:"public-url" env:"KORT_PUBLIC_URL" placeholder:"URL" group:"Network:" help:"Address at which clients reach the server, without /v1. With --dev it may be left out: http://localhost and the port."`
	ReadHeaderTimeout time.Duration `name:"read-header-timeout" env:"KORT_READ_HEADER_TIMEOUT" default:"5s" placeholder:"DURATION" group:"Network:" help:"Longest time for the header of a request to arrive."`
	ReadTimeout       time.Duration `name:"read-timeout" env:"KORT_READ_TIMEOUT" default:"30s" placeholder:"DURATION" group:"Network:" help:"Longest time for a whole request to arrive."`
	WriteTimeout      time.Duration `name:"write-timeout" env:"KORT_WRITE_TIMEOUT" default:"60s" placeholder:"DURATION" group:"Network:" help:"Longest time from the end of a request's header to the end of its answer."`
	IdleTimeout       time.Duration `name:"idle-timeout" env:"KORT_IDLE_TIMEOUT" default:"2m" placeholder:"DURATION" group:"Network:" help:"Longest time that a connection may wait for its next request."`
	DrainDelay        time.Duration `name:"drain-delay" env:"KORT_DRAIN_DELAY" default:"0s" placeholder:"DURATION" group:"Network:" help:"Time between a signal to stop, from when on /readyz answers 503, and the end of accepting requests: what a load balancer needs to notice."`
	ShutdownTimeout   time.Duration `name:"shutdown-timeout" env:"KORT_SHUTDOWN_TIMEOUT" default:"30s" placeholder:"DURATION" group:"Network:" help:"Longest time to finish accepted requests after a signal to stop."`
}

func (l Listen) check(p *Problems) {
	if _, port, err := net.SplitHostPort(l.Addr); err != nil || !isPort(port) {
		p.add("addr", "must be a host and a port, such as localhost:8080 or :8080 (port 0 takes any free one)")
	}
	if l.PublicURL != "" && !isBaseURL(l.PublicURL) {
		p.add("public-url", "must be an http or https address without query and fragment, such as https://cards.example.com")
	}
	for _, timeout := range []struct {
		flag  string
		value time.Duration
	}{
		{"read-header-timeout", l.ReadHeaderTimeout},
		{"read-timeout", l.ReadTimeout},
		{"write-timeout", l.WriteTimeout},
		{"idle-timeout", l.IdleTimeout},
		{"shutdown-timeout", l.ShutdownTimeout},
	} {
		if timeout.value <= 0 || timeout.value > maxTimeout {
			p.add(timeout.flag, "must be more than 0s and at most 1h, such as 30s")
		}
	}
	if l.DrainDelay < 0 || l.DrainDelay > maxTimeout {
		p.add("drain-delay", "must be from 0s to 1h, such as 10s")
	}
}

// BaseURL is the public URL without a slash at its end, or the local address of a
// server that listens on the port.
func (l Listen) BaseURL(port int) string {
	if l.PublicURL != "" {
		return strings.TrimRight(l.PublicURL, "/")
	}
	host, _, err := net.SplitHostPort(l.Addr)
	if ip := net.ParseIP(host); err != nil || host == "" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified()) {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(port))
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// isBaseURL says whether paths can be appended to an address.
func isBaseURL(text string) bool {
	parsed, err := url.Parse(text)
	return err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Host != "" &&
		parsed.User == nil && parsed.RawQuery == "" && !parsed.ForceQuery && parsed.Fragment == ""
}
