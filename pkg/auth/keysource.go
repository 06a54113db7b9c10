package auth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
)

// Rhythm of the key sources, unless SourceOptions says otherwise.
const (
	// DefaultFileInterval is how often a key file is looked at; it bounds how long a removed key still works.
	DefaultFileInterval = time.Second
	// DefaultURLInterval is how often a key URL is fetched; it bounds how long a removed key still works.
	DefaultURLInterval = 5 * time.Minute
	// DefaultMinGap is the shortest time between two loads, however many unknown key ids arrive and whatever fails.
	DefaultMinGap = 10 * time.Second

	// loadTimeout bounds one load.
	loadTimeout = 5 * time.Second
)

// SourceOptions tunes a key source; zero values stand for the defaults.
type SourceOptions struct {
	// Interval is the time between two loads in the background.
	Interval time.Duration
	// MinGap is the shortest time between two loads; it is no longer than Interval.
	MinGap time.Duration
	// Log receives failed loads and changes of the key set; nil drops them.
	Log *slog.Logger
}

// KeySource holds the issuer's present keys. FileKeys and URLKeys load them again in the background until Close, and once more when a
// token names a key that is not among them; the last good set stays in use while loading fails.
type KeySource struct {
	options SourceOptions
	load    func(context.Context) ([]byte, error)
	current atomic.Pointer[keySet]

	// Only the background loop loads. It answers each request with a signal when the present set is as new as it may be.
	requests chan chan<- struct{}
	cancel   context.CancelFunc
	stopped  chan struct{}
}

// StaticKeys is a source that never changes, from a JSON Web Key set. It fails when the set has no usable key.
func StaticKeys(document []byte) (*KeySource, error) {
	set, err := parseKeySet(document)
	if err != nil {
		return nil, err
	}
	if len(set.keys) == 0 {
		return nil, errNoUsableKey
	}
	source := &KeySource{cancel: func() {}, stopped: make(chan struct{})}
	source.current.Store(set)
	close(source.stopped)
	return source, nil
}

// Ready says whether keys have been obtained.
func (s *KeySource) Ready() bool { return s.current.Load() != nil }

// Close ends loading in the background. The last good keys stay in use.
func (s *KeySource) Close() {
	s.cancel()
	<-s.stopped
}

// start begins to load in the background. A source that has no set yet loads at once.
func (s *KeySource) start(fallbackInterval time.Duration) {
	if s.options.Interval <= 0 {
		s.options.Interval = fallbackInterval
	}
	if s.options.MinGap <= 0 {
		s.options.MinGap = DefaultMinGap
	}
	s.options.MinGap = min(s.options.MinGap, s.options.Interval)
	if s.options.Log == nil {
		s.options.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.stopped, s.requests = cancel, make(chan struct{}), make(chan chan<- struct{})
	go s.run(ctx)
}

func (s *KeySource) run(ctx context.Context) {
	defer close(s.stopped)
	wait := s.options.Interval
	if !s.Ready() {
		wait = 0
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	var lastLoad time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(s.reload(ctx))
			lastLoad = time.Now()
		case done := <-s.requests:
			if time.Since(lastLoad) >= s.options.MinGap {
				timer.Reset(s.reload(ctx))
				lastLoad = time.Now()
			}
			close(done)
		}
	}
}

// reload loads once and returns how long to wait for the next time.
func (s *KeySource) reload(ctx context.Context) time.Duration {
	set, err := s.loadSet(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.options.Log.Warn("signing keys not loaded", "error", err, "have_keys", s.Ready())
		}
		return s.options.MinGap
	}
	s.adopt(ctx, set)
	return s.options.Interval
}

func (s *KeySource) loadSet(ctx context.Context) (*keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	document, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	if present := s.current.Load(); present != nil && present.document == sha256.Sum256(document) {
		return present, nil
	}
	set, err := parseKeySet(document)
	if err != nil {
		return nil, fmt.Errorf("parse signing keys: %w", err)
	}
	return set, nil
}

// adopt keeps the present set when the document is the same: remembered tokens hang on it.
func (s *KeySource) adopt(ctx context.Context, set *keySet) {
	if s.current.Swap(set) == set {
		return
	}
	level := slog.LevelInfo
	if len(set.keys) == 0 {
		level = slog.LevelWarn
	}
	s.options.Log.Log(ctx, level, "signing keys changed", "usable", len(set.keys), "unusable", set.unusable)
}

// find returns the key for a token and the set it belongs to. A key that is not there is looked for once more in a set as new as
// it may be.
func (s *KeySource) find(ctx context.Context, algorithm jwa.SignatureAlgorithm, keyID string) (verificationKey, *keySet, error) {
	if set := s.current.Load(); set != nil {
		if key, err := set.find(algorithm, keyID); err == nil {
			return key, set, nil
		}
	}
	if err := s.renew(ctx); err != nil {
		return verificationKey{}, nil, err
	}
	set := s.current.Load()
	if set == nil {
		return verificationKey{}, nil, ErrUnavailable
	}
	key, err := set.find(algorithm, keyID)
	return key, set, err
}

func (s *KeySource) renew(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case s.requests <- done:
	case <-s.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	select {
	case <-done:
		return nil
	case <-s.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}
