package repository

import (
	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// cardRow is a row of cards.
type cardRow struct {
	bun.BaseModel `bun:"table:cards,alias:c"`

	AccountID    string    `bun:"account_id,pk"`
	ID           uuid.UUID `bun:"id,pk"`
	CardID       string    `bun:"card_id"`
	CustomerID   string    `bun:"customer_id,nullzero"`
	Name         string    `bun:"name,nullzero"`
	Type         string    `bun:"type"`
	OriginatedBy string    `bun:"originated_by,nullzero"`
	Metadata     string    `bun:"metadata,nullzero"`
	CreatedAt    int64     `bun:"created_at"`
	CreatedBy    string    `bun:"created_by"`

	Amount       int64     `bun:"amount"`
	Currency     string    `bun:"currency,nullzero"`
	Activated    bool      `bun:"activated"`
	ActivationID uuid.UUID `bun:"activation_id,nullzero"`
	ActiveFrom   *int64    `bun:"active_from"`
	ExpiresAt    *int64    `bun:"expires_at"`

	AmountFunds    int64  `bun:"amount_funds"`
	AmountDrawdown int64  `bun:"amount_drawdown"`
	AmountPending  int64  `bun:"amount_pending"`
	AmountReserved int64  `bun:"amount_reserved"`
	OpenHolds      int64  `bun:"open_holds"`
	Seq            int64  `bun:"seq"`
	Digest         string `bun:"digest"`
	LastTxnAt      int64  `bun:"last_txn_at"`

	PINID          uuid.UUID `bun:"pin_id,nullzero"`
	PINFormat      string    `bun:"pin_format,nullzero"`
	PINHash        string    `bun:"pin_hash,nullzero"`
	PINKeyID       string    `bun:"pin_key_id,nullzero"`
	PINFailures    int64     `bun:"pin_failures"`
	PINLockedUntil *int64    `bun:"pin_locked_until"`

	DeletedAt  *int64    `bun:"deleted_at"`
	DeletedBy  string    `bun:"deleted_by,nullzero"`
	DeletionID uuid.UUID `bun:"deletion_id,nullzero"`

	SearchText string `bun:"search_text"`
}

// txnRow is a row of transactions.
type txnRow struct {
	bun.BaseModel `bun:"table:transactions,alias:t"`

	AccountID    string    `bun:"account_id,pk"`
	ID           uuid.UUID `bun:"id,pk"`
	CardObjectID uuid.UUID `bun:"card_object_id"`
	Seq          int64     `bun:"seq"`
	Type         string    `bun:"type"`
	Amount       int64     `bun:"amount"`
	Currency     string    `bun:"currency"`
	RefID        string    `bun:"ref_id"`
	ParentID     uuid.UUID `bun:"parent_id,nullzero"`
	TokenID      uuid.UUID `bun:"token_id,nullzero"`
	AddressedBy  string    `bun:"addressed_by"`
	AmountGiven  bool      `bun:"amount_given"`
	Metadata     string    `bun:"metadata,nullzero"`
	OriginatedBy string    `bun:"originated_by,nullzero"`
	CreatedAt    int64     `bun:"created_at"`
	CreatedBy    string    `bun:"created_by"`
	Digest       string    `bun:"digest"`

	// Of the card, after the last transaction of a commit on it; see figuresAfter.
	AvailableAfter *int64 `bun:"available_after"`
	BalanceAfter   *int64 `bun:"balance_after"`
}

// holdRow is a row of holds.
type holdRow struct {
	bun.BaseModel `bun:"table:holds,alias:h"`

	AccountID    string    `bun:"account_id,pk"`
	ID           uuid.UUID `bun:"id,pk"`
	CardObjectID uuid.UUID `bun:"card_object_id"`
	Amount       int64     `bun:"amount"`
	Locked       int64     `bun:"locked"`
	Open         bool      `bun:"open"`
}

// tokenRow is a row of tokens.
type tokenRow struct {
	bun.BaseModel `bun:"table:tokens,alias:k"`

	AccountID    string    `bun:"account_id,pk"`
	ID           uuid.UUID `bun:"id,pk"`
	CardObjectID uuid.UUID `bun:"card_object_id"`
	RefID        string    `bun:"ref_id,nullzero"`
	Hash         string    `bun:"hash"`
	KeyID        string    `bun:"key_id"`
	Masked       string    `bun:"masked"`
	Format       string    `bun:"format,nullzero"`
	Shape        string    `bun:"shape"`
	ExpiresIn    int64     `bun:"expires_in,nullzero"`
	ExpiresAt    *int64    `bun:"expires_at"`
	SingleUse    bool      `bun:"single_use"`
	SpentBy      uuid.UUID `bun:"spent_by,nullzero"`
	Metadata     string    `bun:"metadata,nullzero"`
	CreatedAt    int64     `bun:"created_at"`
	CreatedBy    string    `bun:"created_by"`
}

// searchRow is a row of card_search.
type searchRow struct {
	bun.BaseModel `bun:"table:card_search,alias:s"`

	AccountID  string    `bun:"account_id,pk"`
	ID         uuid.UUID `bun:"id,pk"`
	SearchText string    `bun:"search_text"`
}

// currentKeyRow is a row of current_data_keys, as far as a batch has to know it.
type currentKeyRow struct {
	bun.BaseModel `bun:"table:current_data_keys,alias:u"`

	KeyID string `bun:"key_id,pk"`
}

// clientRow is a row of api_clients.
type clientRow struct {
	bun.BaseModel `bun:"table:api_clients,alias:a"`

	AccountID   string    `bun:"account_id,pk"`
	ID          uuid.UUID `bun:"id,pk"`
	Name        string    `bun:"name"`
	Description string    `bun:"description,nullzero"`
	SecretHash  string    `bun:"secret_hash"`
	SecretKeyID string    `bun:"secret_key_id"`
	CreatedAt   int64     `bun:"created_at"`
	CreatedBy   string    `bun:"created_by"`
	RevokedAt   int64     `bun:"revoked_at,nullzero"`
	RevokedBy   string    `bun:"revoked_by,nullzero"`
}

// grantRow is a row of client_grants.
type grantRow struct {
	bun.BaseModel `bun:"table:client_grants,alias:g"`

	AccountID string    `bun:"account_id,pk"`
	ID        uuid.UUID `bun:"id,pk"`
	ClientID  uuid.UUID `bun:"client_id"`
	Audience  string    `bun:"audience,nullzero"`
	Scopes    string    `bun:"scopes"`
	CreatedAt int64     `bun:"created_at"`
	CreatedBy string    `bun:"created_by"`
	RevokedAt int64     `bun:"revoked_at,nullzero"`
	RevokedBy string    `bun:"revoked_by,nullzero"`
}

// hookSubscriptionRow is a row of hook_subscriptions.
type hookSubscriptionRow struct {
	bun.BaseModel `bun:"table:hook_subscriptions,alias:s"`

	AccountID    string    `bun:"account_id,pk"`
	ID           uuid.UUID `bun:"id,pk"`
	URL          string    `bun:"url"`
	Transactions bool      `bun:"transactions"`
	Cards        bool      `bun:"cards"`
	Active       bool      `bun:"active"`
	Secret       string    `bun:"secret"`
	SecretKeyID  string    `bun:"secret_key_id"`
	CreatedAt    int64     `bun:"created_at"`
	CreatedBy    string    `bun:"created_by"`
	DeletedAt    *int64    `bun:"deleted_at"`
}

// hookSubscriberRow is a row of hook_subscriptions, as far as a commit has to know it.
type hookSubscriberRow struct {
	bun.BaseModel `bun:"table:hook_subscriptions,alias:s"`

	ID           uuid.UUID `bun:"id,pk"`
	Transactions bool      `bun:"transactions"`
	Cards        bool      `bun:"cards"`
}

// hookEventRow is a row of hook_deliveries, as far as a commit writes it.
type hookEventRow struct {
	bun.BaseModel `bun:"table:hook_deliveries,alias:d"`

	AccountID      string    `bun:"account_id,pk"`
	SubscriptionID uuid.UUID `bun:"subscription_id,pk"`
	ID             uuid.UUID `bun:"id,pk"`
	Event          string    `bun:"event"`
	CardObjectID   uuid.UUID `bun:"card_object_id,nullzero"`
	StreamID       uuid.UUID `bun:"stream_id"`
	Position       int64     `bun:"position"`
	CreatedAt      int64     `bun:"created_at"`
}

// hookDueRow is a row of hook_deliveries that may be due, with the position of the one
// in its stream that has to be settled before.
type hookDueRow struct {
	bun.BaseModel `bun:"table:hook_deliveries,alias:d"`

	ID           uuid.UUID `bun:"id,pk"`
	Event        string    `bun:"event"`
	CardObjectID uuid.UUID `bun:"card_object_id,nullzero"`
	StreamID     uuid.UUID `bun:"stream_id"`
	Position     int64     `bun:"position"`
	CreatedAt    int64     `bun:"created_at"`
	Attempts     int64     `bun:"attempts"`
	Previous     *int64    `bun:"previous"`
}

// hookDeliveryRow is a row of hook_deliveries.
type hookDeliveryRow struct {
	hookEventRow `bun:",extend"`

	NextAt      int64  `bun:"next_at"`
	InFlight    bool   `bun:"in_flight"`
	Attempts    int64  `bun:"attempts"`
	SettledAt   *int64 `bun:"settled_at"`
	Delivered   bool   `bun:"delivered"`
	AttemptedAt *int64 `bun:"attempted_at"`
	DurationUS  *int64 `bun:"duration_us"`
	HTTPStatus  *int64 `bun:"http_status"`
	Response    string `bun:"response,nullzero"`
	Failure     string `bun:"failure,nullzero"`
}
