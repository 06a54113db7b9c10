package main

import (
	"context"
	"fmt"

	"github.com/kortwallet/kort/pkg/config"
)

// serveCmd is `kort serve`.
type serveCmd struct {
	config.Serve
}

// Help is the long help.
func (serveCmd) Help() string {
	return `Without --dev nothing is made up: the issuer of the tokens and its keys, the public URL and the data key have to be set.

A signal (Ctrl-C, SIGTERM) makes /readyz answer 503 and lets accepted requests finish; a second signal ends the process at once.

The data key may also be given in the environment variable ` + config.EnvDataKey + `.`
}

// Run serves until the context ends.
func (c *serveCmd) Run(ctx context.Context, term *terminal) error {
	log := newLog(c.Log, term)
	s, err := startServer(ctx, c.Serve, log)
	if err != nil {
		return err
	}
	if c.Dev {
		if err := s.welcome(term); err != nil {
			return stopped(ctx, s, err)
		}
	}
	return s.run(ctx)
}

// run serves until the context ends, and stops in order.
func (s *server) run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		s.log.Info("stopping", "cause", "signal")
	case err := <-s.failed:
		return stopped(ctx, s, fmt.Errorf("serve: %w", err))
	}
	if err := stopped(ctx, s, nil); err != nil {
		return err
	}
	s.log.Info("stopped")
	return nil
}
