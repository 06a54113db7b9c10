package proof

import (
	"context"
	"errors"
	"time"
)

// attacks are all there are.
func attacks() []attack {
	return []attack{
		{ItemCrash, SQLite, "SIGKILL of the server under load", 3, (*trial).crashSQLite},
	}
}

// ItemCrash kills processes under load.
const ItemCrash Item = "crash"

// crashSQLite kills the server again and again.
func (t *trial) crashSQLite(ctx context.Context) error {
	s, err := t.newSite("")
	if err != nil {
		return err
	}
	return errors.Join(t.crash(ctx, s), s.remove())
}

func (t *trial) crash(ctx context.Context, s *site) (err error) {
	server, err := s.newServer()
	if err != nil {
		return err
	}
	if err := server.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	l, err := t.newLoad(ctx, s, server.url(), server.url())
	if err != nil {
		return err
	}
	return l.under(ctx, s, server.url(), func(ctx context.Context) error {
		if err := t.pause(ctx, t.between(20*time.Millisecond, 400*time.Millisecond)); err != nil {
			return err
		}
		t.Faults++
		if err := server.kill(); err != nil {
			return err
		}
		return server.start(ctx)
	})
}

// under disturbs the load until the share of the attack is over, and then checks.
func (l *load) under(ctx context.Context, s *site, direct string, disturb func(context.Context) error) error {
	until := time.Now().Add(l.share)
	l.begin(ctx)
	var err error
	for err == nil && time.Now().Before(until) {
		err = disturb(ctx)
	}
	if err = errors.Join(err, l.end()); err != nil {
		return err
	}
	return l.check(ctx, s, direct)
}

// pause waits.
func (t *trial) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
