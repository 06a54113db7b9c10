package proof

import (
	"context"
	"errors"
	"time"

	"github.com/kortwallet/kort/pkg/pgtest"
)

// ItemCrash kills processes under load.
const ItemCrash Item = "crash"

// crashServer kills the server again and again.
func (t *trial) crashServer(ctx context.Context) error {
	return t.withSite(ctx, func(s *site) error {
		return t.withServer(ctx, s, func(server *server) error {
			l, err := t.newLoad(ctx, s, server.url(), server.url())
			if err != nil {
				return err
			}
			return l.under(ctx, s, server.url(), func(ctx context.Context) error {
				if err := pause(ctx, t.between(20*time.Millisecond, 400*time.Millisecond)); err != nil {
					return err
				}
				t.Faults++
				if err := server.kill(); err != nil {
					return err
				}
				return server.start(ctx)
			})
		})
	})
}

// crashDatabase kills PostgreSQL again and again; the server stays.
func (t *trial) crashDatabase(ctx context.Context) error {
	return withOwner(ctx, func(o *owner) (err error) {
		cluster := pgtest.NewCluster(o)
		cluster.Start()
		s, err := t.newSite(cluster.URL())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.remove()) }()
		return t.withServer(ctx, s, func(server *server) error {
			l, err := t.newLoad(ctx, s, server.url(), server.url())
			if err != nil {
				return err
			}
			return l.under(ctx, s, server.url(), func(ctx context.Context) error {
				if err := pause(ctx, t.between(100*time.Millisecond, 800*time.Millisecond)); err != nil {
					return err
				}
				t.Faults++
				cluster.Kill()
				cluster.Start()
				return nil
			})
		})
	})
}
