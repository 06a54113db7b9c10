package identity_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/identity"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

const account = "T00000001"

// setUp is a provider on a database of its own.
type setUp struct {
	*identity.Provider
	config identity.Config
	raw    *repotest.Raw
	asked  *atomic.Int64 // statements
	ahead  *atomic.Int64 // how far the clock has been put forward, in nanoseconds
}

func each(t *testing.T, test func(t *testing.T, s *setUp)) {
	t.Helper()
	t.Parallel()
	for name, options := range repotest.Engines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &setUp{asked: &atomic.Int64{}, ahead: &atomic.Int64{}}
			o := options(t)
			o.Observe = func(string) { s.asked.Add(1) }
			database := repotest.Migrated(t, o)
			s.raw = database.Raw(t)
			start := time.Now()
			s.config = identity.Config{
				Store: database.Store, DataKeys: cardcode.NewKeyring(newKey(t)), Issuer: "https://kort.test", TTL: time.Hour,
				Now: func() time.Time { return start.Add(time.Duration(s.ahead.Load())) },
			}
			path := filepath.Join(t.TempDir(), "ring.json")
			_, err := auth.OpenRing(path)
			if err == nil {
				s.config.Keys, err = auth.FollowRing(path, s.config.Now, auth.SourceOptions{})
			}
			if err == nil {
				t.Cleanup(s.config.Keys.Close)
				s.config.Audiences, err = auth.NewAudiences("https://kort.test")
			}
			if err != nil {
				t.Fatal(err)
			}
			s.Provider = identity.New(s.config)
			test(t, s)
		})
	}
}

func newKey(t *testing.T) cardcode.Key {
	t.Helper()
	key, err := cardcode.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (s *setUp) create(t *testing.T) (repository.Client, cardcode.Secret) {
	t.Helper()
	client, secret, err := s.Create(t.Context(), identity.NewClient{Account: account, Name: "till", Scopes: []string{auth.ScopeRead}, By: "me"})
	if err != nil {
		t.Fatal(err)
	}
	return client, secret
}

// Whoever is refused has cost the same: one question to the database, whatever was wrong.
func TestRefusalsCostTheSame(t *testing.T) {
	each(t, func(t *testing.T, s *setUp) {
		client, secret := s.create(t)
		for name, try := range map[string]struct {
			account, id string
			secret      cardcode.Secret
			want        error
		}{
			"the client":         {account, client.ID.String(), secret, nil},
			"a wrong secret":     {account, client.ID.String(), secret + "x", identity.ErrCredentials},
			"no secret":          {account, client.ID.String(), "", identity.ErrCredentials},
			"an unknown client":  {account, repotest.ID(t).String(), secret, identity.ErrCredentials},
			"no id":              {account, "x\x00", secret, identity.ErrCredentials},
			"another account":    {"T00000002", client.ID.String(), secret, identity.ErrCredentials},
			"no account":         {"\x00", client.ID.String(), secret, identity.ErrCredentials},
			"the id of the nil":  {account, "00000000-0000-0000-0000-000000000000", secret, identity.ErrCredentials},
			"an id with capital": {account, "urn:uuid:" + client.ID.String(), secret, identity.ErrCredentials},
		} {
			before := s.asked.Load()
			got, err := s.Authenticate(t.Context(), try.account, try.id, try.secret)
			if !errors.Is(err, try.want) || (try.want == nil) != (err == nil) || (err == nil) != (got.ID == client.ID) {
				t.Errorf("%s: %v, %v", name, got.ID, err)
			}
			if n := s.asked.Load() - before; n != 1 {
				t.Errorf("%s: %d statements", name, n)
			}
		}
	})
}

// Guesses at the same moment are counted one by one.
func TestGuessesAtOnce(t *testing.T) {
	each(t, func(t *testing.T, s *setUp) {
		client, secret := s.create(t)
		var wrong, limited atomic.Int64
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() {
				_, err := s.Authenticate(t.Context(), account, client.ID.String(), "wrong")
				var tooMany *identity.GuessError
				switch {
				case errors.As(err, &tooMany):
					if tooMany.RetryAfter <= 0 || tooMany.RetryAfter > time.Minute || !errors.Is(err, identity.ErrCredentials) {
						t.Errorf("got %v after %s", err, tooMany.RetryAfter)
					}
					limited.Add(1)
				case errors.Is(err, identity.ErrCredentials):
					wrong.Add(1)
				default:
					t.Error(err)
				}
			})
			all.Go(func() {
				if _, err := s.Authenticate(t.Context(), account, client.ID.String(), secret); err != nil {
					t.Errorf("the right secret: %v", err)
				}
			})
		}
		all.Wait()
		if wrong.Load() != 10 || limited.Load() != 30 {
			t.Errorf("%d got an answer and %d were limited, want 10 and 30", wrong.Load(), limited.Load())
		}
		guess := func() error {
			_, err := s.Authenticate(t.Context(), account, client.ID.String(), "wrong")
			return err
		}
		var tooMany *identity.GuessError
		s.ahead.Store(int64(time.Minute - 1))
		if err := guess(); !errors.As(err, &tooMany) || tooMany.RetryAfter != 1 {
			t.Errorf("at the end of the minute: %v", err)
		}
		s.ahead.Store(int64(time.Minute))
		if err := guess(); errors.As(err, &tooMany) {
			t.Errorf("a minute later: %v", err)
		}
		s.ahead.Store(-int64(time.Hour)) // the clock was set back
		if err := guess(); errors.As(err, &tooMany) {
			t.Errorf("with the clock set back: %v", err)
		}
	})
}

// A secret under a data key that is not there is neither right nor wrong.
func TestSecretUnderAnUnknownKey(t *testing.T) {
	each(t, func(t *testing.T, s *setUp) {
		client, secret := s.create(t)
		other := s.config
		other.DataKeys = cardcode.NewKeyring(newKey(t))
		_, err := identity.New(other).Authenticate(t.Context(), account, client.ID.String(), secret)
		if !errors.Is(err, ledger.ErrUnknownKey) || errors.Is(err, identity.ErrCredentials) {
			t.Errorf("got %v", err)
		}
	})
}

// A caller who leaves does not take the client along half made.
func TestCallerWhoLeaves(t *testing.T) {
	each(t, func(t *testing.T, s *setUp) {
		ctx, leave := context.WithCancel(t.Context())
		leave()
		client, secret, err := s.Create(ctx, identity.NewClient{Account: account, Name: "till", Scopes: []string{auth.ScopeRead}, By: "me"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Authenticate(t.Context(), account, client.ID.String(), secret); err != nil {
			t.Error(err)
		}
		if token, err := s.Token(t.Context(), account, client.ID, "https://kort.test/v1/accounts/"+account); err != nil || token.ExpiresIn != time.Hour {
			t.Errorf("%v, %v", token.ExpiresIn, err)
		}
	})
}

// Secrets have 256 bits, differ, and are nowhere in the database.
func TestSecretsAreNotStored(t *testing.T) {
	each(t, func(t *testing.T, s *setUp) {
		first, secret := s.create(t)
		second, another := s.create(t)
		if len(secret.Reveal()) != 43 || secret == another || first.SecretHash == second.SecretHash {
			t.Error("the secrets are too short, or equal")
		}
		stored := fmt.Sprint(s.raw.Rows(t, "SELECT * FROM api_clients"), s.raw.Rows(t, "SELECT * FROM client_grants"))
		if !strings.Contains(stored, first.SecretHash) || strings.Contains(stored, secret.Reveal()) {
			t.Errorf("stored is %s", stored)
		}
		if fmt.Sprint(secret) == secret.Reveal() {
			t.Error("the secret is shown")
		}
	})
}
