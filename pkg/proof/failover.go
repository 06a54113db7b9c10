package proof

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kortwallet/kort/pkg/pgtest"
)

// ItemFailover loses the primary of two PostgreSQL servers.
const ItemFailover Item = "failover"

// loadAround is how long the clients are at work before and after a failover.
const loadAround = 1500 * time.Millisecond

// failover kills the primary under load and promotes its synchronous standby, each time
// with two new servers, until the share is over.
func (t *trial) failover(ctx context.Context) error {
	var recoveries []time.Duration
	for until := time.Now().Add(t.share); len(recoveries) == 0 || time.Now().Before(until); {
		var took time.Duration
		err := withOwner(ctx, func(o *owner) (err error) {
			took, err = t.failOver(ctx, o)
			return err
		})
		if err != nil {
			return err
		}
		recoveries = append(recoveries, took)
	}
	slices.Sort(recoveries)
	t.note("first success %s after the end of the promotion (median), %s at most",
		recoveries[len(recoveries)/2].Round(time.Millisecond), recoveries[len(recoveries)-1].Round(time.Millisecond))
	return nil
}

// failOver does it once. It returns the time from the end of the promotion to the first
// request that succeeded.
func (t *trial) failOver(ctx context.Context, o *owner) (took time.Duration, err error) {
	primary := pgtest.NewCluster(o)
	primary.Start()
	standby := primary.BaseBackup()
	standby.Follow(primary)
	standby.Start()
	// Only now: without a standby no commit would be answered.
	primary.Configure("synchronous_standby_names = '*'")
	primary.Query("SELECT pg_reload_conf()::text")
	if err := t.awaitSync(ctx, primary); err != nil {
		return 0, err
	}
	databaseURL, err := eitherOf(primary.URL(), standby.URL())
	if err != nil {
		return 0, err
	}
	s, err := t.newSite(databaseURL)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	err = t.withServer(ctx, s, func(server *server) error {
		l, err := t.newLoad(ctx, s, server.url(), server.url())
		if err != nil {
			return err
		}
		l.begin(ctx)
		took, err = t.loseThePrimary(ctx, l, primary, standby)
		if err := errors.Join(err, l.end()); err != nil {
			return err
		}
		return l.check(ctx, s, server.url())
	})
	return took, err
}

// loseThePrimary kills one server, promotes the other, and waits for a success.
func (t *trial) loseThePrimary(ctx context.Context, l *load, primary, standby *pgtest.Cluster) (took time.Duration, err error) {
	if err := pause(ctx, loadAround); err != nil {
		return 0, err
	}
	t.Faults++
	primary.Kill()
	if err := pause(ctx, t.between(0, time.Second)); err != nil {
		return 0, err
	}
	standby.Promote()
	promoted, before := time.Now(), l.count(acknowledged)
	for l.count(acknowledged) == before {
		if time.Since(promoted) > patience {
			t.violate("no success within %s after the promotion", patience)
			break
		}
		if err := pause(ctx, askAgain); err != nil {
			return 0, err
		}
	}
	return time.Since(promoted), pause(ctx, loadAround)
}

// awaitSync waits until commits of the primary wait for the standby.
func (t *trial) awaitSync(ctx context.Context, primary *pgtest.Cluster) error {
	for begun := time.Now(); primary.Query("SELECT count(*)::text FROM pg_stat_replication WHERE sync_state = 'sync'") != "1"; {
		if time.Since(begun) > startTimeout {
			return fmt.Errorf("the standby does not become synchronous within %s", startTimeout)
		}
		if err := pause(ctx, askAgain); err != nil {
			return err
		}
	}
	return nil
}

// eitherOf is the URL of whichever server takes writes.
func eitherOf(first, second string) (string, error) {
	var hosts, ports []string
	var either *url.URL
	for _, text := range []string{first, second} {
		address, err := url.Parse(text)
		if err != nil {
			return "", fmt.Errorf("read the URL of a cluster: %w", err)
		}
		query := address.Query()
		hosts, ports = append(hosts, query.Get("host")), append(ports, "5432")
		either = address
	}
	query := either.Query()
	query.Set("host", strings.Join(hosts, ","))
	query.Set("port", strings.Join(ports, ","))
	query.Set("target_session_attrs", "read-write")
	either.RawQuery = query.Encode()
	return either.String(), nil
}
