package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/hooks"
	"github.com/kortwallet/kort/pkg/httpapi"
	"github.com/kortwallet/kort/pkg/identity"
	"github.com/kortwallet/kort/pkg/keywatch"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/observe"
	"github.com/kortwallet/kort/pkg/posting"
	"github.com/kortwallet/kort/pkg/repository"
)

// maxHeaderBytes bounds the header of a request; a token may have
// auth.MaxTokenBytes of it.
const maxHeaderBytes = 32 << 10

// server is a running server: what it has opened, and how to close it again.
type server struct {
	settings config.Serve
	log      *slog.Logger

	listener    net.Listener
	identity    serverIdentity
	audiences   auth.Audiences
	issuers     []auth.Issuer     // whose tokens are accepted
	signingKeys *auth.SigningKeys // nil where the server issues no tokens
	dataKeys    cardcode.Keyring
	keyWatch    *keywatch.Watch
	store       *repository.Store
	poster      *posting.Poster
	hooks       *hooks.Dispatcher
	watch       observe.Watch

	// submitter makes what requests submit their operations with, in place of the
	// poster. A benchmark measures parts of a server by it; nil in any real server.
	submitter func(*server) submitFunc

	// clock tells the moment at which an account's requests are judged.
	clock func(account string) ledger.Micros
	// around puts a sandbox's control API before the API; nil in any other server.
	around func(context.Context, *httpapi.Server) (http.Handler, error)
	// ephemeral tells that nobody needs the embedded database after a crash.
	ephemeral bool
	// anyBase accepts tokens whose audience has any base, for clients that ask for that of another server.
	anyBase bool

	// failed receives the error that ended serving before stop did.
	failed chan error
	// undo holds how to close what is open, in the order in which it was opened.
	undo []func(context.Context) error
}

// submitFunc is what httpapi.Config calls Submit.
type submitFunc = func(ctx context.Context, account string, op ledger.Operation) (ledger.Result, error)

// gcPercent lets the heap, of which little is in use, grow to two and a half times that
// before it is cleaned. With the usual twice a request costs more processor time, which
// is felt most with thousands of connections; with three times a server with 20 000 cards
// in its memory takes 129 MB in place of 115.
const gcPercent = 150

// newServer prepares a server. Nothing is open yet, but the process is one for a server
// from now on, whether serve, the sandbox or a benchmark started it: see gcPercent.
func newServer(settings config.Serve, log *slog.Logger) *server {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	return &server{settings: settings, log: log, clock: clock, failed: make(chan error, 1)}
}

// startServer starts to serve. After an error everything is closed again.
func startServer(ctx context.Context, settings config.Serve, log *slog.Logger) (*server, error) {
	s := newServer(settings, log)
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// start takes all steps, or none.
func (s *server) start(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		s.takeDirectory, s.listen, s.openMetrics, s.openTraces, s.openDataKeys, s.openKeys, s.openStore, s.watchDataKeys,
		s.openHooks, s.openPoster, s.remember, s.serve,
	} {
		if err := step(ctx); err != nil {
			return stopped(ctx, s, err)
		}
	}
	return nil
}

// stopped stops a server, with its own deadline, as ctx is what has just ended.
func stopped(ctx context.Context, s *server, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.settings.DrainDelay+s.settings.ShutdownTimeout)
	defer cancel()
	return errors.Join(cause, s.stop(ctx))
}

// stop finishes what was accepted and closes everything.
func (s *server) stop(ctx context.Context) error {
	var failures []error
	for _, undo := range slices.Backward(s.undo) {
		failures = append(failures, undo(ctx))
	}
	s.undo = nil
	return errors.Join(failures...)
}

// onStop notes how to undo a step.
func (s *server) onStop(undo func(context.Context) error) { s.undo = append(s.undo, undo) }

// takeDirectory keeps the data directory to this server, if the database is in it.
func (s *server) takeDirectory(context.Context) error {
	dir := dataDir(s.settings.DataDir)
	if s.settings.Dev {
		if err := dir.create(); err != nil {
			return err
		}
	}
	if s.settings.Postgres() {
		return nil
	}
	if err := dir.exist(); err != nil {
		return err
	}
	unlock, err := dir.lock()
	if err != nil {
		return err
	}
	s.onStop(func(context.Context) error { return unlock() })
	return nil
}

// listen comes before anything is created, so that a port that is taken leaves no
// traces; and the port is part of what a development server is called.
func (s *server) listen(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.settings.Addr)
	if err != nil {
		return fmt.Errorf("%s: %w", config.Name("addr"), err)
	}
	s.listener = listener
	s.onStop(func(context.Context) error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) { // the HTTP server has closed it, if it came that far
			return err
		}
		return nil
	})
	publicURL := s.settings.BaseURL(listener.Addr().(*net.TCPAddr).Port)
	s.identity = serverIdentity{
		PublicURL: publicURL, Issuer: s.settings.OwnIssuer(publicURL), AudienceBases: s.settings.Audiences(publicURL),
	}
	if s.audiences, err = auth.NewAudiences(s.identity.AudienceBases...); err != nil {
		return err
	}
	if s.anyBase {
		s.audiences = s.audiences.WithAnyBase()
	}
	return nil
}

func (s *server) openDataKeys(context.Context) (err error) {
	s.dataKeys, err = loadDataKeys(s.settings)
	return err
}

// openKeys finds out whose tokens to accept: the server's own, and those of the issuers that it was told to trust.
func (s *server) openKeys(context.Context) (err error) {
	//nolint:contextcheck // the file is followed until the server stops
	if s.signingKeys, err = openSigningKeys(s.settings, s.log); err != nil {
		return err
	}
	if s.signingKeys != nil {
		s.accept(s.identity.Issuer, s.signingKeys.Source())
	}
	for _, issuer := range s.settings.TrustedIssuers() {
		source, err := openKeySource(issuer, s.log)
		if err != nil {
			return err
		}
		s.accept(issuer.Name, source)
	}
	return nil
}

func (s *server) accept(issuer string, keys *auth.KeySource) {
	s.issuers = append(s.issuers, auth.Issuer{Name: issuer, Keys: keys})
	s.onStop(func(context.Context) error {
		keys.Close()
		return nil
	})
}

// openStore brings an embedded database up to date. A PostgreSQL may serve others,
// so its schema changes when somebody says so.
func (s *server) openStore(ctx context.Context) error {
	if !s.settings.Postgres() {
		if err := createDatabase(s.settings.SQLiteFile()); err != nil {
			return err
		}
	}
	store, err := repository.Open(ctx, repository.Options{
		PostgresURL: s.settings.DatabaseURL.Reveal(),
		SQLitePath:  s.settings.SQLiteFile(),
		Ephemeral:   s.ephemeral,
		ReadConns:   s.settings.ReadConns,
		WriteConns:  s.settings.WriteConns,
	})
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	s.store = store
	s.onStop(func(context.Context) error { return store.Close() })
	if store.Postgres() && !s.settings.Migrate {
		if err := requireSchema(ctx, store); err != nil {
			return fmt.Errorf("%w, or start with %s", err, config.Name("migrate"))
		}
		return nil
	}
	steps, err := store.Migrate(ctx)
	if err != nil {
		return err
	}
	if len(steps) > 0 {
		s.log.Info("schema brought up to date", "steps", steps)
	}
	return store.Connect(ctx)
}

// watchDataKeys makes sure that no data key of the database is missing, now and later.
func (s *server) watchDataKeys(ctx context.Context) (err error) {
	s.keyWatch, err = keywatch.Start(ctx, s.store, s.dataKeys, keywatch.Options{Log: s.log})
	switch {
	case errors.Is(err, repository.ErrOtherDataKey):
		return fmt.Errorf("%w: with this one none of its tokens and PINs would be found. Give the key it was written with, in %s or %s",
			err, config.Name("data-key-file"), config.EnvDataKey)
	case errors.Is(err, repository.ErrMissingDataKey):
		return fmt.Errorf("%w: some of its tokens and PINs would not be found. Put the line of that key back into %s or %s, or give "+
			"this server the file of the one that has it (kort keys list shows the ids in a file)",
			err, config.Name("data-key-file"), config.EnvDataKey)
	case err != nil:
		return fmt.Errorf("claim the data key: %w", err)
	}
	s.onStop(func(context.Context) error {
		s.keyWatch.Close()
		return nil
	})
	return nil
}

func (s *server) openPoster(context.Context) error {
	s.poster = posting.New(s.store, posting.Options{
		Clock: s.clock, Log: s.log, Hooked: s.hooks.Wake,
		MaxBatch: s.settings.MaxBatch, MaxQueue: s.settings.MaxQueue, Committers: s.settings.Committers,
		Caller: httpapi.RequestAttr, Observer: s.watch.Writes(),
	})
	s.onStop(s.poster.Close)
	return nil
}

// remember tells `kort token` for whom to mint, now that nothing else can fail.
func (s *server) remember(context.Context) error {
	if !s.settings.Dev {
		return nil
	}
	return dataDir(s.settings.DataDir).rememberIdentity(s.identity)
}

// serve answers requests from now on, until it is undone.
func (s *server) serve(ctx context.Context) error {
	verifier, err := auth.NewVerifier(auth.VerifierConfig{
		Issuers: s.issuers, Audiences: s.audiences, Now: time.Now,
	})
	if err != nil {
		return err
	}
	submit := s.poster.Submit
	if s.submitter != nil {
		submit = s.submitter(s)
	}
	pages, err := s.pages()
	if err != nil {
		return err
	}
	edge, err := httpapi.New(httpapi.Config{
		Identity: s.provider(), Hooks: s.hooks,
		Store: s.store, Submit: submit, Overloaded: s.poster.Overloaded, Verifier: verifier, DataKeys: s.dataKeys, KeysComplete: s.keyWatch.Complete,
		Clock:      s.clock,
		RequirePIN: s.settings.RequirePIN, RatePerSecond: s.settings.RatePerSecond, RateBurst: s.settings.RateBurst,
		ValidateResponses: s.settings.ValidateResponses, Pages: pages, Log: s.log, Observer: s.watch.Requests(),
	})
	if err != nil {
		return err
	}
	s.watchServer(edge)
	var handler http.Handler = edge
	if s.around != nil {
		if handler, err = s.around(ctx, edge); err != nil {
			return err
		}
	}
	web := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: s.settings.ReadHeaderTimeout,
		ReadTimeout:       s.settings.ReadTimeout,
		WriteTimeout:      s.settings.WriteTimeout,
		IdleTimeout:       s.settings.IdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnContext:       httpapi.ConnContext,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	go func() {
		if err := web.Serve(edge.Listener(s.listener)); !errors.Is(err, http.ErrServerClosed) {
			s.fail(err)
		}
	}()
	s.onStop(func(ctx context.Context) error { return s.drain(ctx, edge, web) })
	s.log.Info("listening", "addr", s.listener.Addr().String(), "public_url", s.identity.PublicURL, "postgres", s.store.Postgres())
	return nil
}

// provider gives out the server's own tokens; nil where it has no keys to sign them with.
func (s *server) provider() *identity.Provider {
	if s.signingKeys == nil {
		return nil
	}
	return identity.New(identity.Config{
		Store: s.store, DataKeys: s.dataKeys, Keys: s.signingKeys, Issuer: s.identity.Issuer, Audiences: s.audiences,
		TTL: s.settings.TokenTTL, Now: time.Now,
	})
}

// drain stops accepting requests and waits for those that were accepted. Whoever
// sends requests here is told first, and given time to notice.
func (s *server) drain(ctx context.Context, edge *httpapi.Server, web *http.Server) error {
	edge.Drain()
	if delay := s.settings.DrainDelay; delay > 0 {
		s.log.Info("draining", "delay", delay.String())
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
	if err := web.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("finish requests within %s: %w", config.Name("shutdown-timeout"), err), web.Close())
	}
	return nil
}

// clock is the time of every account, except in a sandbox.
func clock(string) ledger.Micros { return ledger.MicrosOf(time.Now()) }
