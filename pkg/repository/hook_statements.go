package repository

import (
	"strconv"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// hookStatements are the fixed texts about webhooks.
type hookStatements struct {
	subscribers  lookup // of an account's events
	noSubscriber string // fails where there is one; PostgreSQL's
	insert       change // deliveries

	due                lookup // the next deliveries of a subscription
	take, park         string
	settle, free, wake string
	purge, purgeAll    string // what was settled before a moment; all there is
}

const (
	// hookWindow is how many deliveries of a subscription are looked at in one go.
	hookWindow = 128
	// hookChain is how many deliveries of a stream go out behind each other in one go, and
	// how many are woken when the one before them is settled.
	hookChain = 16
	// hookPurgeBatch is how many are removed in one commit, so that no other waits long.
	hookPurgeBatch = 500
)

func (s *Store) hookStatements() hookStatements {
	d := s.dialect
	skipLocked, heldFast := "", ""
	if d.postgres {
		skipLocked, heldFast = " FOR UPDATE OF d SKIP LOCKED", " FOR SHARE OF h SKIP LOCKED"
	}
	const ofAccount = `FROM hook_subscriptions AS s WHERE s.account_id = $1 AND s.active AND s.deleted_at IS NULL`
	t := hookStatements{
		subscribers:  d.lookup("s", columnsOf(modelOf(s.write, hookSubscriberRow{})), ofAccount),
		noSubscriber: "SELECT 1 / (count(*) = 0)::int " + ofAccount,
		insert:       d.insert(modelOf(s.write, hookEventRow{})),
		due:          lookup{columns: columnsOf(modelOf(s.write, hookDueRow{}))},
	}
	t.due.text = d.placeholders(`SELECT d.id, d.event, d.card_object_id, d.stream_id, d.position, d.created_at, d.attempts,
		(SELECT max(h.position) FROM hook_deliveries AS h WHERE h.account_id = $1 AND h.subscription_id = $2
			AND h.stream_id = d.stream_id AND h.settled_at IS NULL AND h.position < d.position) AS previous
		FROM hook_deliveries AS d WHERE d.account_id = $1 AND d.subscription_id = $2 AND d.settled_at IS NULL AND d.next_at <= $3
		ORDER BY d.next_at, d.id LIMIT $4` + skipLocked)
	t.take = d.placeholders(`UPDATE hook_deliveries SET next_at = $4, in_flight = true
		WHERE account_id = $1 AND subscription_id = $2 AND id = $3`)
	// Only behind one that nobody is about to settle, and that nobody settles before the
	// commit: who settles it later then finds this one parked, and wakes it. One that was in
	// flight is so no longer, now that its time is up, as it would not be woken.
	t.park = d.placeholders(`UPDATE hook_deliveries SET next_at = $6, in_flight = false
		WHERE account_id = $1 AND subscription_id = $2 AND id = $3 AND EXISTS (SELECT 1 FROM hook_deliveries AS h
			WHERE h.account_id = $1 AND h.subscription_id = $2 AND h.stream_id = $4 AND h.settled_at IS NULL AND h.position < $5` + heldFast + `)`)
	// Rows are found by their keys. Written as the indexes of what is not settled have it,
	// this would lead PostgreSQL to read all of such an index for one row.
	const unsettled = `coalesce(settled_at, -1) = -1`
	// One whose time was up belongs to whoever took it since.
	const mine = ` WHERE account_id = $1 AND subscription_id = $2 AND id = $3 AND ` + unsettled + ` AND in_flight AND next_at = $4`
	t.settle = d.placeholders(`UPDATE hook_deliveries SET in_flight = false, next_at = $5, settled_at = $6, delivered = $7,
		attempts = attempts + 1, attempted_at = $8, duration_us = $9, http_status = $10, response = $11, failure = $12` + mine)
	t.free = d.placeholders(`UPDATE hook_deliveries SET in_flight = false, next_at = $5` + mine)
	// Also of those that are due already: another server may just be parking one.
	t.wake = d.placeholders(`UPDATE hook_deliveries SET next_at = 0
		WHERE account_id = $1 AND subscription_id = $2 AND stream_id = $3 AND settled_at IS NULL AND NOT in_flight AND position <= (
			SELECT max(p.position) FROM (SELECT h.position FROM hook_deliveries AS h WHERE h.account_id = $1 AND h.subscription_id = $2
				AND h.stream_id = $3 AND h.settled_at IS NULL ORDER BY h.position LIMIT ` + strconv.Itoa(hookChain) + `) AS p)`)
	t.purge = d.placeholders(`DELETE FROM hook_deliveries WHERE account_id = $1 AND subscription_id = $2 AND settled_at <= (
		SELECT max(p.settled_at) FROM (SELECT h.settled_at FROM hook_deliveries AS h WHERE h.account_id = $1 AND h.subscription_id = $2
			AND h.settled_at < $3 ORDER BY h.settled_at LIMIT ` + strconv.Itoa(hookPurgeBatch) + `) AS p)`)
	t.purgeAll = d.placeholders(`DELETE FROM hook_deliveries WHERE account_id = $1 AND subscription_id = $2 AND id <= (
		SELECT p.id FROM (SELECT h.id FROM hook_deliveries AS h WHERE h.account_id = $1 AND h.subscription_id = $2
			ORDER BY h.id LIMIT ` + strconv.Itoa(hookPurgeBatch) + `) AS p ORDER BY p.id DESC LIMIT 1)`)
	return t
}

func rowOfHookEvent(account string, e *HookEvent) hookEventRow {
	return hookEventRow{
		AccountID: account, SubscriptionID: e.Subscription, ID: e.ID, Event: e.Event, CardObjectID: e.Card,
		StreamID: e.Stream, Position: int64(e.Position), CreatedAt: int64(e.CreatedAt),
	}
}

// event makes an event of what is the next of a subscription.
func (r *hookDueRow) event(subscription uuid.UUID) HookEvent {
	return HookEvent{
		Subscription: subscription, ID: r.ID, Event: r.Event, Card: r.CardObjectID, Stream: r.StreamID,
		Position: HookPosition(r.Position), CreatedAt: ledger.Micros(r.CreatedAt),
	}
}
