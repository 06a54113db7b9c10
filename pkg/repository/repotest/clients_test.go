package repotest_test

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

func newClient(t *testing.T, name string) repository.Client {
	t.Helper()
	return repository.Client{
		ID: repotest.ID(t), Name: name, SecretHash: "hash of " + name, SecretKeyID: "key", CreatedAt: repotest.Now, CreatedBy: "me",
	}
}

func newGrant(t *testing.T, client uuid.UUID, scopes ...string) repository.Grant {
	t.Helper()
	return repository.Grant{ID: repotest.ID(t), ClientID: client, Scopes: scopes, CreatedAt: repotest.Now, CreatedBy: "me"}
}

// What is stored comes back; what is revoked does not come back, and is not revoked twice.
func TestClientsAndGrants(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		ctx, account := t.Context(), repotest.Account
		till, web := newClient(t, "till"), newClient(t, "web")
		web.Description = "the web shop"
		granted := newGrant(t, till.ID, "read:wallets", "write:wallets:/info")
		granted.Audience = "https://kort.test/v1/accounts/" + account
		if err := errors.Join(s.AddClient(ctx, account, &till, &granted), s.AddClient(ctx, account, &web, nil)); err != nil {
			t.Fatal(err)
		}
		for _, want := range []repository.Client{till, web} {
			if got, err := s.Client(ctx, account, want.ID); err != nil || got != want {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		}
		if got, err := s.Clients(ctx, account); err != nil || !reflect.DeepEqual(got, []repository.Client{till, web}) {
			t.Errorf("listed: %+v, %v", got, err)
		}
		if got, err := s.GrantOf(ctx, account, till.ID); err != nil || !reflect.DeepEqual(got, granted) {
			t.Errorf("got %+v, %v, want %+v", got, err, granted)
		}
		if _, err := s.GrantOf(ctx, account, web.ID); !errors.Is(err, repository.ErrNotFound) {
			t.Errorf("a client without a grant: %v", err)
		}
		second := newGrant(t, till.ID, "admin:wallets")
		if err := s.AddGrant(ctx, account, &second); !errors.Is(err, repository.ErrGrantExists) {
			t.Errorf("a second grant: %v", err)
		}
		ended, err := s.RevokeGrant(ctx, account, granted.ID, "you", repotest.Now+1)
		if err != nil || ended.RevokedAt != repotest.Now+1 || ended.RevokedBy != "you" || ended.Audience != granted.Audience {
			t.Errorf("revoked: %+v, %v", ended, err)
		}
		if _, err := s.RevokeGrant(ctx, account, granted.ID, "you", repotest.Now); !errors.Is(err, repository.ErrNotFound) {
			t.Errorf("revoked twice: %v", err)
		}
		if err := s.AddGrant(ctx, account, &second); err != nil {
			t.Errorf("a grant after the first: %v", err)
		}
		gone, err := s.RevokeClient(ctx, account, till.ID, "you", repotest.Now+2)
		if err != nil || gone.RevokedAt != repotest.Now+2 || gone.RevokedBy != "you" || gone.Name != "till" {
			t.Errorf("revoked: %+v, %v", gone, err)
		}
		third := newGrant(t, till.ID, "admin:wallets")
		for what, err := range map[string]error{
			"again":             errOf(s.RevokeClient(ctx, account, till.ID, "you", repotest.Now)),
			"its grant":         errOf(s.GrantOf(ctx, account, till.ID)),
			"the client":        errOf(s.Client(ctx, account, till.ID)),
			"a grant after all": s.AddGrant(ctx, account, &third),
		} {
			if !errors.Is(err, repository.ErrNotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if grants, err := s.Grants(ctx, account); err != nil || len(grants) != 0 {
			t.Errorf("grants are left: %v, %v", grants, err)
		}
		if clients, err := s.Clients(ctx, account); err != nil || len(clients) != 1 {
			t.Errorf("clients are left: %v, %v", clients, err)
		}
	})
}

func errOf[T any](_ T, err error) error { return err }

// A client and its grant are stored both or not at all.
func TestClientWithGrantIsOneWrite(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		first, second := newClient(t, "first"), newClient(t, "second")
		grant := newGrant(t, first.ID, "read:wallets")
		if err := s.AddClient(t.Context(), repotest.Account, &first, &grant); err != nil {
			t.Fatal(err)
		}
		if err := s.AddClient(t.Context(), repotest.Account, &second, &grant); err == nil {
			t.Error("a grant that is there was stored again")
		}
		if _, err := s.Client(t.Context(), repotest.Account, second.ID); !errors.Is(err, repository.ErrNotFound) {
			t.Errorf("the client without its grant: %v", err)
		}
	})
}

func TestClientsAreBounded(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		var last repository.Client
		for n := range repository.MaxClients {
			last = newClient(t, fmt.Sprint("client ", n))
			if err := s.AddClient(t.Context(), repotest.Account, &last, nil); err != nil {
				t.Fatal(err)
			}
		}
		more := newClient(t, "one more")
		if err := s.AddClient(t.Context(), repotest.Account, &more, nil); !errors.Is(err, repository.ErrTooManyClients) {
			t.Errorf("got %v", err)
		}
		if err := s.AddClient(t.Context(), repotest.OtherAccount, &more, nil); err != nil {
			t.Errorf("in another account: %v", err)
		}
		if _, err := s.RevokeClient(t.Context(), repotest.Account, last.ID, "me", repotest.Now); err != nil {
			t.Fatal(err)
		}
		if err := s.AddClient(t.Context(), repotest.Account, &more, nil); err != nil {
			t.Errorf("after a revocation: %v", err)
		}
	})
}

// Of many grants at once for a client there is one, and none outlives the client.
func TestGrantsAtOnce(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		client := newClient(t, "till")
		if err := d.AddClient(t.Context(), repotest.Account, &client, nil); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			grant := newGrant(t, client.ID, "read:wallets")
			all.Go(func() { errs[i] = d.AddGrant(t.Context(), repotest.Account, &grant) })
		}
		all.Wait()
		added := 0
		for _, err := range errs {
			if err == nil {
				added++
			} else if !errors.Is(err, repository.ErrGrantExists) {
				t.Error(err)
			}
		}
		if grants, err := d.Grants(t.Context(), repotest.Account); err != nil || len(grants) != 1 || added != 1 {
			t.Errorf("%d were added, and there is %v, %v", added, grants, err)
		}
		for range 10 {
			raced := newClient(t, "raced")
			if err := d.AddClient(t.Context(), repotest.Account, &raced, nil); err != nil {
				t.Fatal(err)
			}
			grant := newGrant(t, raced.ID, "read:wallets")
			var granted, revoked error
			all.Go(func() { granted = d.AddGrant(t.Context(), repotest.Account, &grant) })
			all.Go(func() { _, revoked = d.RevokeClient(t.Context(), repotest.Account, raced.ID, "me", repotest.Now) })
			all.Wait()
			if revoked != nil || granted != nil && !errors.Is(granted, repository.ErrNotFound) {
				t.Errorf("granted: %v, revoked: %v", granted, revoked)
			}
			if _, err := d.GrantOf(t.Context(), repotest.Account, raced.ID); !errors.Is(err, repository.ErrNotFound) {
				t.Errorf("the grant of a revoked client: %v", err)
			}
		}
	})
}

func TestClientsStayInTheirAccount(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		ctx, raw := t.Context(), d.Raw(t)
		client := newClient(t, "till")
		grant := newGrant(t, client.ID, "read:wallets")
		if err := d.AddClient(ctx, repotest.OtherAccount, &client, &grant); err != nil {
			t.Fatal(err)
		}
		rows := func() [][]string {
			return append(raw.Rows(t, "SELECT * FROM api_clients"), raw.Rows(t, "SELECT * FROM client_grants")...)
		}
		before := rows()
		mine := newGrant(t, client.ID, "admin:wallets")
		for what, err := range map[string]error{
			"Client":       errOf(d.Client(ctx, repotest.Account, client.ID)),
			"GrantOf":      errOf(d.GrantOf(ctx, repotest.Account, client.ID)),
			"AddGrant":     d.AddGrant(ctx, repotest.Account, &mine),
			"RevokeClient": errOf(d.RevokeClient(ctx, repotest.Account, client.ID, "me", repotest.Now)),
			"RevokeGrant":  errOf(d.RevokeGrant(ctx, repotest.Account, grant.ID, "me", repotest.Now)),
		} {
			if !errors.Is(err, repository.ErrNotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
		clients, err := d.Clients(ctx, repotest.Account)
		grants, grantsErr := d.Grants(ctx, repotest.Account)
		if err != nil || grantsErr != nil || len(clients)+len(grants) > 0 {
			t.Errorf("listed: %v, %v, %v, %v", clients, err, grants, grantsErr)
		}
		if after := rows(); !reflect.DeepEqual(after, before) {
			t.Errorf("another account's rows changed: %v, before: %v", after, before)
		}
		if err := d.AddClient(ctx, repotest.Account, &client, &grant); err != nil {
			t.Errorf("the same ids in another account: %v", err)
		}
	})
}
