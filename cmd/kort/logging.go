package main

import (
	"log/slog"

	"github.com/kortwallet/kort/pkg/config"
)

// newLog opens the log on stderr. Validated settings name a known level and form.
func newLog(settings config.Log, term *terminal) *slog.Logger {
	options := &slog.HandlerOptions{Level: levels[settings.Level]}
	if settings.Format == "text" || settings.Format == "auto" && term.interactive {
		return slog.New(slog.NewTextHandler(term.stderr, options))
	}
	return slog.New(slog.NewJSONHandler(term.stderr, options))
}

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}
