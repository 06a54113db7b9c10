package repository

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/kortwallet/kort/pkg/ledger"
)

// MaxClients is how many clients of an account may be live, and so bounds the lists of clients and grants. Requests at the same moment
// can exceed it by their number.
const MaxClients = 500

var (
	// ErrTooManyClients means that the account has MaxClients.
	ErrTooManyClients = errors.New("the account has too many clients")
	// ErrGrantExists means that the client has a grant.
	ErrGrantExists = errors.New("the client has a grant")
)

// Client is an API client: somebody who gets access tokens for an account.
type Client struct {
	ID                uuid.UUID
	Name, Description string // the description may be empty
	// SecretHash is under the data key with the id SecretKeyID.
	SecretHash, SecretKeyID string
	CreatedAt               ledger.Micros
	CreatedBy               string
	RevokedAt               ledger.Micros // zero for a live one
	RevokedBy               string
}

// Grant says what the tokens of a client permit.
type Grant struct {
	ID, ClientID uuid.UUID
	Audience     string // as it was asked for; empty where nobody asked
	Scopes       []string
	CreatedAt    ledger.Micros
	CreatedBy    string
	RevokedAt    ledger.Micros // zero for a live one
	RevokedBy    string
}

// AddClient stores a new client, and its grant where there is one, both or none. [ErrTooManyClients] refuses it.
func (s *Store) AddClient(ctx context.Context, account string, c *Client, grant *Grant) error {
	return s.Write(ctx, func(tx *Tx) error {
		if err := tx.begin(ctx); err != nil {
			return err
		}
		const count = "SELECT count(*) FROM api_clients AS a WHERE a.account_id = $1 AND a.revoked_at IS NULL"
		live, err := tx.number(ctx, count, account)
		if err != nil {
			return fmt.Errorf("count clients: %w", err)
		}
		if live >= MaxClients {
			return ErrTooManyClients
		}
		const add = `INSERT INTO api_clients (account_id, id, name, description, secret_hash, secret_key_id, created_at, created_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
		if err := tx.exec(ctx, add, account, c.ID.String(), c.Name, orNull(c.Description), c.SecretHash, c.SecretKeyID,
			int64(c.CreatedAt), c.CreatedBy); err != nil {
			return fmt.Errorf("add a client: %w", err)
		}
		if grant == nil {
			return nil
		}
		return tx.addGrant(ctx, account, grant)
	})
}

// AddGrant stores a grant of a live client. [ErrNotFound] means that the account has no such client, [ErrGrantExists] that it has
// a grant.
func (s *Store) AddGrant(ctx context.Context, account string, grant *Grant) error {
	return s.Write(ctx, func(tx *Tx) error {
		if err := tx.begin(ctx); err != nil {
			return err
		}
		// The lock makes a revocation wait, which would not see the grant otherwise.
		lock := "SELECT count(*) FROM (SELECT a.id FROM api_clients AS a WHERE a.account_id = $1 AND a.id = $2 AND a.revoked_at IS NULL" +
			tx.store.dialect.forUpdate("a") + ") AS r"
		live, err := tx.number(ctx, lock, account, grant.ClientID.String())
		if err != nil {
			return fmt.Errorf("lock a client: %w", err)
		}
		if live == 0 {
			return ErrNotFound
		}
		return tx.addGrant(ctx, account, grant)
	})
}

func (tx *Tx) addGrant(ctx context.Context, account string, g *Grant) error {
	const add = `INSERT INTO client_grants (account_id, id, client_id, audience, scopes, created_at, created_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account_id, client_id) WHERE revoked_at IS NULL DO NOTHING`
	added, err := tx.change(ctx, add, account, g.ID.String(), g.ClientID.String(), orNull(g.Audience), strings.Join(g.Scopes, " "),
		int64(g.CreatedAt), g.CreatedBy)
	if err != nil {
		return fmt.Errorf("add a grant: %w", err)
	}
	if added == 0 {
		return ErrGrantExists
	}
	return nil
}

// RevokeClient ends a client and its grants, and returns it. [ErrNotFound] means that the account has no such live client.
func (s *Store) RevokeClient(ctx context.Context, account string, id uuid.UUID, by string, now ledger.Micros) (Client, error) {
	err := s.Write(ctx, func(tx *Tx) error {
		if err := tx.begin(ctx); err != nil {
			return err
		}
		const end = "UPDATE api_clients SET revoked_at = $3, revoked_by = $4 WHERE account_id = $1 AND id = $2 AND revoked_at IS NULL"
		ended, err := tx.change(ctx, end, account, id.String(), int64(now), by)
		if err != nil {
			return fmt.Errorf("revoke a client: %w", err)
		}
		if ended == 0 {
			return ErrNotFound
		}
		const endGrants = "UPDATE client_grants SET revoked_at = $3, revoked_by = $4 WHERE account_id = $1 AND client_id = $2 AND revoked_at IS NULL"
		if err := tx.exec(ctx, endGrants, account, id.String(), int64(now), by); err != nil {
			return fmt.Errorf("revoke grants: %w", err)
		}
		return nil
	})
	if err != nil {
		return Client{}, err
	}
	var row clientRow
	err = s.scan(ctx, s.read.NewSelect().Model(&row).Where("a.account_id = ?", account).Where("a.id = ?", id))
	return row.client(), err
}

// RevokeGrant ends a grant and returns it. [ErrNotFound] means that the account has no such live grant.
func (s *Store) RevokeGrant(ctx context.Context, account string, id uuid.UUID, by string, now ledger.Micros) (Grant, error) {
	err := s.Write(ctx, func(tx *Tx) error {
		if err := tx.begin(ctx); err != nil {
			return err
		}
		const end = "UPDATE client_grants SET revoked_at = $3, revoked_by = $4 WHERE account_id = $1 AND id = $2 AND revoked_at IS NULL"
		ended, err := tx.change(ctx, end, account, id.String(), int64(now), by)
		if err == nil && ended == 0 {
			err = ErrNotFound
		}
		return err
	})
	if err != nil {
		return Grant{}, err
	}
	var row grantRow
	err = s.scan(ctx, s.read.NewSelect().Model(&row).Where("g.account_id = ?", account).Where("g.id = ?", id))
	return row.grant(), err
}

// Client finds a live client, or returns [ErrNotFound].
func (s *Store) Client(ctx context.Context, account string, id uuid.UUID) (Client, error) {
	var row clientRow
	err := s.scan(ctx, s.read.NewSelect().Model(&row).
		Where("a.account_id = ?", account).Where("a.id = ?", id).Where("a.revoked_at IS NULL"))
	return row.client(), err
}

// GrantOf finds the live grant of a client, or returns [ErrNotFound].
func (s *Store) GrantOf(ctx context.Context, account string, client uuid.UUID) (Grant, error) {
	var row grantRow
	err := s.scan(ctx, s.read.NewSelect().Model(&row).
		Where("g.account_id = ?", account).Where("g.client_id = ?", client).Where("g.revoked_at IS NULL"))
	return row.grant(), err
}

// Clients lists the live clients of an account, the oldest first.
func (s *Store) Clients(ctx context.Context, account string) ([]Client, error) {
	var rows []clientRow
	err := s.scan(ctx, s.read.NewSelect().Model(&rows).
		Where("a.account_id = ?", account).Where("a.revoked_at IS NULL").OrderExpr("a.id"))
	clients := make([]Client, len(rows))
	for i := range rows {
		clients[i] = rows[i].client()
	}
	return clients, err
}

// Grants lists the live grants of an account, the oldest first.
func (s *Store) Grants(ctx context.Context, account string) ([]Grant, error) {
	var rows []grantRow
	err := s.scan(ctx, s.read.NewSelect().Model(&rows).
		Where("g.account_id = ?", account).Where("g.revoked_at IS NULL").OrderExpr("g.id"))
	grants := make([]Grant, len(rows))
	for i := range rows {
		grants[i] = rows[i].grant()
	}
	return grants, err
}

// scan runs a query into its model.
func (s *Store) scan(ctx context.Context, query *bun.SelectQuery) error {
	return s.onWorkingConns(ctx, func() error { return classify(query.Scan(ctx)) })
}

// number reads one number within the transaction.
func (tx *Tx) number(ctx context.Context, text string, args ...any) (n int64, err error) {
	text = tx.store.dialect.placeholders(text)
	tx.store.watched(text)
	err = tx.conn.QueryRowContext(ctx, text, args...).Scan(&n)
	return n, classify(err)
}

// orNull is a text, or NULL in place of an empty one.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func (r *clientRow) client() Client {
	return Client{
		ID: r.ID, Name: r.Name, Description: r.Description, SecretHash: r.SecretHash, SecretKeyID: r.SecretKeyID,
		CreatedAt: ledger.Micros(r.CreatedAt), CreatedBy: r.CreatedBy, RevokedAt: ledger.Micros(r.RevokedAt), RevokedBy: r.RevokedBy,
	}
}

func (r *grantRow) grant() Grant {
	return Grant{
		ID: r.ID, ClientID: r.ClientID, Audience: r.Audience, Scopes: strings.Fields(r.Scopes),
		CreatedAt: ledger.Micros(r.CreatedAt), CreatedBy: r.CreatedBy, RevokedAt: ledger.Micros(r.RevokedAt), RevokedBy: r.RevokedBy,
	}
}
