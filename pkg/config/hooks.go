package config

import (
	"net"
	"net/url"
	"time"
)

// Hooks say how events are sent to their subscribers. Of the numbers 0 is the default of
// whoever sends.
type Hooks struct {
	HookHTTP        bool          `name:"hook-http" env:"KORT_HOOK_HTTP" group:"Webhooks:" help:"Let subscriptions have http URLs, whose events anybody on the way can read. --dev does so."`
	HookPrivate     bool          `name:"hook-private" env:"KORT_HOOK_PRIVATE" group:"Webhooks:" help:"Let subscriptions name private hosts: of this machine, and of the networks that it is in. Whoever may subscribe can then make this server send requests there. --dev does so."`
	HookTimeout     time.Duration `name:"hook-timeout" env:"KORT_HOOK_TIMEOUT" default:"15s" placeholder:"DURATION" group:"Webhooks:" help:"Longest time for a receiver to acknowledge an event."`
	HookAttempts    int           `name:"hook-attempts" env:"KORT_HOOK_ATTEMPTS" default:"16" placeholder:"N" group:"Webhooks:" help:"Attempts after which an event is given up. The pauses between them grow from seconds to an hour."`
	HookKeep        time.Duration `name:"hook-keep" env:"KORT_HOOK_KEEP" default:"720h" placeholder:"DURATION" group:"Webhooks:" help:"Time for which deliveries can be looked at once they are settled."`
	HookConcurrency int           `name:"hook-concurrency" env:"KORT_HOOK_CONCURRENCY" default:"128" placeholder:"N" group:"Webhooks:" help:"Events that this server sends at the same time; a quarter of them to one subscription at most."`
}

// Bounds of the settings.
const (
	maxHookAttempts = 1000
	maxHookTimeout  = 2 * time.Minute
	minHookKeep     = time.Minute
	maxHookKeep     = 10 * 366 * 24 * time.Hour
)

func (h Hooks) check(p *Problems) {
	if h.HookTimeout < time.Second || h.HookTimeout > maxHookTimeout {
		p.add("hook-timeout", "must be from 1s to 2m, such as 15s")
	}
	p.addRange("hook-attempts", h.HookAttempts, 1, maxHookAttempts)
	if h.HookKeep < minHookKeep || h.HookKeep > maxHookKeep {
		p.add("hook-keep", "must be from 1m to 87840h, such as 720h")
	}
	p.addRange("hook-concurrency", h.HookConcurrency, 1, maxConns)
}

// HooksListen holds the settings of hooks listen.
type HooksListen struct {
	URL     string   `name:"url" default:"http://localhost:8080" placeholder:"URL" help:"Where the API is, without /v1."`
	Token   Secret   `name:"token" env:"KORT_LISTEN_TOKEN" placeholder:"JWT" help:"Access token with admin:hooks or write:hooks. It belongs in the environment: other users can read a command line."`
	Account string   `name:"account" placeholder:"T12345678" help:"Account whose events to print. Left out: the one that the token is for."`
	Events  []string `name:"event" enum:"wallet_transaction,wallet_card" default:"wallet_transaction,wallet_card" placeholder:"EVENT" help:"Events to print: ${enum}."`
	Addr    string   `name:"addr" default:"localhost:0" placeholder:"HOST:PORT" help:"Address to receive events at, which the server has to reach; port 0 takes any free one."`
	Forward string   `name:"forward" placeholder:"URL" help:"Address to pass each event on to; its answer is that to the server. Left out: each is acknowledged."`
}

// Validate says all that is wrong.
func (h HooksListen) Validate() error {
	var p Problems
	if h.Account != "" {
		p.addAccount(h.Account)
	}
	if h.Token == "" {
		p = append(p, Problem{Setting: "--token (" + EnvOf("listen-token") + ")", Reason: "must be an access token with admin:hooks or write:hooks"})
	}
	if !isBaseURL(h.URL) {
		p = append(p, Problem{Setting: "--url", Reason: "must be where the API is, such as http://localhost:8080"})
	}
	if host, port, err := net.SplitHostPort(h.Addr); err != nil || host == "" || !isPort(port) {
		p = append(p, Problem{Setting: "--addr", Reason: "must be a host and a port, such as localhost:0"})
	}
	if to, err := url.Parse(h.Forward); h.Forward != "" && (err != nil || to.Host == "" || to.Scheme != "http" && to.Scheme != "https") {
		p = append(p, Problem{Setting: "--forward", Reason: "must be an http or https address, such as http://localhost:3000/hooks"})
	}
	return p.err()
}
