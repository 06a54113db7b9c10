package proof

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
)

// ItemSecurity plays somebody who knows the interface and wants what is not theirs.
const ItemSecurity Item = "security"

// victim is the account whose money an intruder is after; thief is the intruder's own,
// and nowhere one that nobody has.
const (
	victim  = account
	thief   = "T87654321"
	nowhere = "T00000000"
)

// Parts of an attack's share that go into volume. What has to be done once is done
// whatever the share.
const (
	isolationPart = 0.10
	forgeryPart   = 0.10
	injectionPart = 0.30
	pinPart       = 0.10
	timingPart    = 0.25
)

// intruder attacks the servers of a site.
type intruder struct {
	*trial
	site       *site
	servers    []*server
	operations []*operation
	signers    signers
	secrets    *secrets
	receiver   *receiver
	asked      atomic.Int64
	tampered   atomic.Int64
	limited    atomic.Bool // the servers limit rates
	drawn      atomic.Int64
	// leaving is a token whose time is over soon.
	leaving struct {
		token string
		until time.Time
	}
}

// intrude attacks with requests alone; nothing is killed but to guess on.
func (t *trial) intrude(ctx context.Context) error {
	return t.withSite(ctx, func(s *site) (err error) {
		i, err := newIntruder(ctx, t, s)
		if err != nil {
			return err
		}
		defer func() {
			t.Operations, t.Faults = i.asked.Load(), i.tampered.Load()
			err = errors.Join(err, i.receiver.close())
		}()
		return i.attack(ctx)
	})
}

// newIntruder prepares the key set of a site, in which are keys that forgeries need, and
// the keys with which the servers sign tokens themselves.
func newIntruder(ctx context.Context, t *trial, s *site) (*intruder, error) {
	i := &intruder{trial: t, site: s}
	err := auth.CreateRing(s.ringFile())
	if err != nil {
		return nil, err
	}
	if i.operations, err = contract(); err != nil {
		return nil, err
	}
	if i.signers, err = newSigners(); err != nil {
		return nil, err
	}
	if i.secrets, err = newSecrets(s); err != nil {
		return nil, err
	}
	if err := i.publish(i.signers.all()...); err != nil {
		return nil, err
	}
	i.receiver, err = newReceiver(ctx, t, s)
	return i, err
}

// flags start a server that gives out tokens, and sends events to where the intruder
// hears them.
func (i *intruder) flags() []string {
	return []string{"--signing-key-file", i.site.ringFile(), "--hook-http", "--hook-private"}
}

// attack runs everything against the site.
func (i *intruder) attack(ctx context.Context) error {
	err := i.withServers(ctx, func() error {
		for _, step := range []func(context.Context) error{
			i.isolation, i.forgery, i.injection, i.timing, i.rotation, i.afterLastMinute, i.guessing, i.tokenEndpoint, i.hideAndSeek,
		} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	i.limited.Store(true)
	err = i.withServer(ctx, i.site, func(limited *server) error {
		i.servers = []*server{limited}
		return i.rates(ctx)
	}, append(i.flags(), rateFlags()...)...)
	if err != nil {
		return err
	}
	return i.searchAtRest(ctx)
}

// many is how many servers a site can have.
func (i *intruder) many() int {
	if i.engine == Postgres {
		return 2
	}
	return 1
}

// withServers starts as many servers as there can be, and stops them after the use.
func (i *intruder) withServers(ctx context.Context, use func() error) (err error) {
	i.servers = nil
	defer func() {
		for _, s := range i.servers {
			err = errors.Join(err, s.stop())
		}
	}()
	for range i.many() {
		s, err := i.site.newServer(ctx, i.flags()...)
		if err != nil {
			return err
		}
		i.servers = append(i.servers, s)
		if err := s.start(ctx); err != nil {
			return err
		}
	}
	return use()
}

// during repeats something for a part of the share, at least once.
func (i *intruder) during(part float64, round func() error) error {
	until := time.Now().Add(time.Duration(float64(i.share) * part))
	for {
		if err := round(); err != nil {
			return err
		}
		if !time.Now().Before(until) {
			return nil
		}
	}
}

// name draws an id that nobody has used.
func (i *intruder) name(kind string) string {
	return fmt.Sprintf("%s-%d-%d", kind, i.Seed, i.drawn.Add(1))
}

// mint makes an access token with all rights on an account.
func (i *intruder) mint(account, subject string) (string, error) {
	token, err := i.site.token(account, subject, auth.ScopeAdmin, auth.ScopeRead, auth.ScopeWrite, auth.ScopeAccounts, auth.ScopeAdminHooks)
	i.secrets.keep("an access token", token)
	return token, err
}
