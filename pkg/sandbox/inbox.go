package sandbox

import (
	"context"
	"time"

	api "github.com/kortwallet/kort/gen/sandbox"
)

// maxInbox bounds the events of an account that are kept.
const maxInbox = 1000

// ReceiveEvent implements the operation receive_event. It takes no part in what holds an
// account: an event may come while the account is put back.
func (c *Control) ReceiveEvent(_ context.Context, r api.ReceiveEventRequestObject) (api.ReceiveEventResponseObject, error) {
	headers := map[string]string{}
	for name, value := range map[string]*string{
		"event": r.Params.Event, "event-delivery": r.Params.EventDelivery, "event-signature": r.Params.EventSignature,
		"webhook-id": r.Params.WebhookID, "webhook-timestamp": r.Params.WebhookTimestamp, "webhook-signature": r.Params.WebhookSignature,
	} {
		if value != nil {
			headers[name] = *value
		}
	}
	a := c.account(r.Aid)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inbox = append(a.inbox, api.ReceivedEvent{
		ReceivedAt: time.Now().UTC(), Headers: headers, Body: *r.Body, RawBody: string(*r.Body),
	})
	if len(a.inbox) > maxInbox {
		a.inbox = append([]api.ReceivedEvent(nil), a.inbox[len(a.inbox)-maxInbox:]...)
	}
	return api.ReceiveEvent204Response{}, nil
}

// ListInbox implements the operation list_inbox.
func (c *Control) ListInbox(_ context.Context, r api.ListInboxRequestObject) (api.ListInboxResponseObject, error) {
	a := c.account(r.Aid)
	a.mu.Lock()
	defer a.mu.Unlock()
	found := api.ListInbox200JSONResponse{}
	for i := range a.inbox {
		if name := a.inbox[i].Headers["event"]; matches(r.Params.Event, &name) {
			found = append(found, a.inbox[i])
		}
	}
	return found, nil
}

// ClearInbox implements the operation clear_inbox.
func (c *Control) ClearInbox(_ context.Context, r api.ClearInboxRequestObject) (api.ClearInboxResponseObject, error) {
	a := c.account(r.Aid)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inbox = nil
	return api.ClearInbox204Response{}, nil
}
