package main

import (
	"context"

	"github.com/kortwallet/kort/pkg/hooks"
)

// concurrencyPerHook is how many subscriptions it takes to use all places for deliveries.
const concurrencyPerHook = 4

// openHooks sends events from now on. It ends after the poster, whose last commits may
// have made some.
func (s *server) openHooks(context.Context) error {
	settings := s.settings.Hooks
	//nolint:contextcheck // what it commits is nobody's to cancel
	s.hooks = hooks.Start(s.store, hooks.Options{
		Targets: hooks.Targets{HTTP: settings.HookHTTP || s.settings.Dev, Private: settings.HookPrivate || s.settings.Dev},
		Keys:    s.dataKeys, Log: s.log, Attempted: s.watch.Hooks(),
		Timeout: settings.HookTimeout, Attempts: settings.HookAttempts, Keep: settings.HookKeep,
		Concurrency: settings.HookConcurrency, PerSubscription: (settings.HookConcurrency + concurrencyPerHook - 1) / concurrencyPerHook,
	})
	s.onStop(s.hooks.Close)
	return nil
}
