package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/httpapi"
	"github.com/kortwallet/kort/pkg/observe"
)

// scrapeTimeout bounds each step of a request for metrics, which are small.
const scrapeTimeout = 15 * time.Second

// openMetrics serves metrics, where they are wanted, on an address of their own. It
// stops after everything that is measured.
func (s *server) openMetrics(ctx context.Context) error {
	if s.settings.MetricsAddr == "" {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.settings.MetricsAddr)
	if err != nil {
		return fmt.Errorf("%s: %w", config.Name("metrics-addr"), err)
	}
	s.watch.Metrics = observe.NewMetrics(build())
	web := &http.Server{
		Handler:           s.watch.Metrics.Handler(s.log),
		ReadHeaderTimeout: scrapeTimeout, ReadTimeout: scrapeTimeout, WriteTimeout: scrapeTimeout, IdleTimeout: s.settings.IdleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	go func() {
		if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.fail(err)
		}
	}()
	s.onStop(func(ctx context.Context) error {
		if err := web.Shutdown(ctx); err != nil {
			return errors.Join(fmt.Errorf("finish scrapes: %w", err), web.Close())
		}
		return nil
	})
	s.log.Info("serving metrics", "metrics_addr", listener.Addr().String())
	return nil
}

// openTraces begins to send traces, where the standard variables ask for it.
func (s *server) openTraces(ctx context.Context) (err error) {
	if !s.settings.Tracing.On() {
		return nil
	}
	if s.watch.Traces, err = observe.StartTraces(ctx, build(), s.log); err != nil {
		return err
	}
	s.onStop(s.watch.Traces.Close)
	s.log = slog.New(observe.Correlated(s.log.Handler()))
	return nil
}

// watchServer shows what is there before the first request.
func (s *server) watchServer(edge *httpapi.Server) {
	if m := s.watch.Metrics; m != nil {
		m.WatchQueue(s.poster.Waiting, s.poster.Limit)
		m.WatchPools(s.store.PoolStats)
		m.ExpectOperations(edge.Operations())
	}
}

// fail ends serving. The first failure counts.
func (s *server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// build is what the Go tool has noted in the binary.
func build() observe.Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return observe.Build{Version: versionOf(info), Commit: settingsOf(info)["vcs.revision"]}
}
