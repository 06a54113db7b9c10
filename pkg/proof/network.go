package proof

import (
	"context"
	"errors"
	"time"
)

// ItemNetwork spoils connections under load.
const ItemNetwork Item = "network"

// clientNetwork spoils the connections between the clients and the server.
func (t *trial) clientNetwork(ctx context.Context) error {
	return t.withSite(ctx, func(s *site) error {
		return t.withServer(ctx, s, func(server *server) (err error) {
			p, err := newProxy(ctx, "tcp", server.addr)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, p.close()) }()
			return t.spoiled(ctx, s, server, "http://"+p.addr(), p)
		})
	})
}

// databaseNetwork spoils the connections between the server and PostgreSQL.
func (t *trial) databaseNetwork(ctx context.Context) error {
	return t.withSite(ctx, func(s *site) error {
		return s.throughProxy(ctx, func(p *proxy) error {
			return t.withServer(ctx, s, func(server *server) error {
				return t.spoiled(ctx, s, server, server.url(), p)
			})
		})
	})
}

// throughProxy lets the servers that something starts reach PostgreSQL through a proxy.
func (s *site) throughProxy(ctx context.Context, use func(*proxy) error) error {
	p, through, err := newPostgresProxy(ctx, s.databaseURL)
	if err != nil {
		return err
	}
	s.databaseURL = through
	return errors.Join(use(p), p.close())
}

// spoiled puts a server under load while a proxy spoils the traffic.
func (t *trial) spoiled(ctx context.Context, s *site, server *server, url string, p *proxy) error {
	l, err := t.newLoad(ctx, s, server.url(), url)
	if err != nil {
		return err
	}
	err = l.under(ctx, s, server.url(), func(ctx context.Context) error {
		if err := pause(ctx, t.between(10*time.Millisecond, 600*time.Millisecond)); err != nil {
			return err
		}
		return p.spoil(ctx, t)
	})
	t.note("%d answers lost after they were given, %d COMMITs on their way", p.muted.Load(), p.dropped.Load())
	return err
}
