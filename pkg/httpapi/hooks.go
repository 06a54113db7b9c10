package httpapi

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/kortwallet/kort/gen/api"
	hooksapi "github.com/kortwallet/kort/gen/hooks"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/hooks"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// codeTooManyHooks is the one code that only the contract of the webhooks has.
const codeTooManyHooks = api.ErrorCode(hooksapi.ErrorCodeTooManySubscriptions)

// hookHandlers implements the generated interface of the webhooks.
type hookHandlers struct {
	Config
}

var _ hooksapi.StrictServerInterface = (*hookHandlers)(nil)

// registerHooks serves the contract of the webhooks beside that of the cards.
func (s *Server) registerHooks(limits *rateLimits) error {
	spec, err := hooksapi.GetSpec()
	if err != nil {
		return fmt.Errorf("load the contract of the webhooks: %w", err)
	}
	operations, err := operationsOf(spec)
	if err != nil {
		return err
	}
	maps.Copy(s.routed, operationNames(basePath, operations))
	h := &hookHandlers{Config: s.c}
	hooksapi.RegisterHandlersWithOptions(s.echo, hooksapi.NewStrictHandler(h, nil), hooksapi.RegisterHandlersOptions{
		BaseURL: basePath, OperationMiddlewares: s.chains(operations, limits),
	})
	return nil
}

// AidHooksSubscriptionsPost adds a subscription.
func (h *hookHandlers) AidHooksSubscriptionsPost(
	ctx context.Context, r hooksapi.AidHooksSubscriptionsPostRequestObject,
) (hooksapi.AidHooksSubscriptionsPostResponseObject, error) {
	secret, err := h.checkHook(r.Body)
	if err != nil {
		return nil, err
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	ping, err := newID()
	if err != nil {
		return nil, err
	}
	key := h.DataKeys.Current()
	sealed, err := key.Seal(cardcode.Hook, r.Aid, id.String(), secret)
	if err != nil {
		return nil, err
	}
	hook := &repository.HookSubscription{
		ID: id, URL: r.Body.Config.URL, Active: r.Body.Active == nil || *r.Body.Active, Secret: sealed, SecretKeyID: key.ID(),
		CreatedAt: ledger.MicrosOf(time.Now()), CreatedBy: principalOf(ctx).Subject,
	}
	for _, event := range r.Body.Events {
		hook.Transactions = hook.Transactions || event == hooksapi.EventNameWalletTransaction
		hook.Cards = hook.Cards || event == hooksapi.EventNameWalletCard
	}
	if err := h.Store.AddHook(ctx, r.Aid, hook, ping); err != nil {
		return nil, err
	}
	h.Hooks.Wake()
	answer := subscriptionOf(hook)
	answer.Config.Secret = some(secret.Reveal())
	return hooksapi.AidHooksSubscriptionsPost200JSONResponse(answer), nil
}

// checkHook checks what the contract's schema cannot say of a new subscription, and gives
// its secret.
func (h *hookHandlers) checkHook(body *hooksapi.SubscriptionCreate) (cardcode.Secret, error) {
	var problems []problem
	refuse := func(pointer, reason string) {
		if reason != "" {
			problems = append(problems, problem{Pointer: pointer, Reason: reason})
		}
	}
	refuse("/config/url", h.Hooks.Targets().Check(body.Config.URL))
	if given(body.Config.InsecureSsl) != 0 {
		refuse("/config/insecure_ssl", "must be 0: certificates are always checked")
	}
	if body.Fields != nil {
		refuse("/fields", "is not supported")
	}
	if body.ExcludeFields != nil {
		refuse("/exclude_fields", "is not supported")
	}
	if body.Config.Secret == nil {
		if len(problems) > 0 {
			return "", fail(api.ErrorCodeInvalidRequest, problems...)
		}
		return hooks.NewSecret()
	}
	secret := cardcode.Secret(*body.Config.Secret)
	if refuse("/config/secret", hooks.CheckSecret(secret)); len(problems) > 0 {
		return "", fail(api.ErrorCodeInvalidRequest, problems...)
	}
	return secret, nil
}

// AidHooksSubscriptionsGet lists subscriptions.
func (h *hookHandlers) AidHooksSubscriptionsGet(
	ctx context.Context, r hooksapi.AidHooksSubscriptionsGetRequestObject,
) (hooksapi.AidHooksSubscriptionsGetResponseObject, error) {
	found, err := h.Store.Hooks(ctx, r.Aid)
	if err != nil {
		return nil, err
	}
	list := hooksapi.AidHooksSubscriptionsGet200JSONResponse{Subscriptions: make([]hooksapi.Subscription, len(found))}
	for i := range found {
		list.Subscriptions[i] = subscriptionOf(&found[i])
	}
	return list, nil
}

// AidHooksSubscriptionsHidGet answers with a subscription.
func (h *hookHandlers) AidHooksSubscriptionsHidGet(
	ctx context.Context, r hooksapi.AidHooksSubscriptionsHidGetRequestObject,
) (hooksapi.AidHooksSubscriptionsHidGetResponseObject, error) {
	found, err := h.Store.Hook(ctx, r.Aid, r.Hid)
	if err != nil {
		return nil, err
	}
	return hooksapi.AidHooksSubscriptionsHidGet200JSONResponse(subscriptionOf(&found)), nil
}

// AidHooksSubscriptionsHidDelete ends a subscription.
func (h *hookHandlers) AidHooksSubscriptionsHidDelete(
	ctx context.Context, r hooksapi.AidHooksSubscriptionsHidDeleteRequestObject,
) (hooksapi.AidHooksSubscriptionsHidDeleteResponseObject, error) {
	if err := h.Store.RemoveHook(ctx, r.Aid, r.Hid, ledger.MicrosOf(time.Now())); err != nil {
		return nil, err
	}
	return hooksapi.AidHooksSubscriptionsHidDelete204Response{}, nil
}

// AidHooksSubscriptionsHidPingPost sends a ping.
func (h *hookHandlers) AidHooksSubscriptionsHidPingPost(
	ctx context.Context, r hooksapi.AidHooksSubscriptionsHidPingPostRequestObject,
) (hooksapi.AidHooksSubscriptionsHidPingPostResponseObject, error) {
	ping, err := newID()
	if err != nil {
		return nil, err
	}
	if err := h.Store.PingHook(ctx, r.Aid, r.Hid, ping, ledger.MicrosOf(time.Now())); err != nil {
		return nil, err
	}
	h.Hooks.Wake()
	return hooksapi.AidHooksSubscriptionsHidPingPost204Response{}, nil
}

// AidHooksSubscriptionsHidDeliveriesGet lists deliveries.
func (h *hookHandlers) AidHooksSubscriptionsHidDeliveriesGet(
	ctx context.Context, r hooksapi.AidHooksSubscriptionsHidDeliveriesGetRequestObject,
) (hooksapi.AidHooksSubscriptionsHidDeliveriesGetResponseObject, error) {
	page, err := pageOf(r.Params.Limit, r.Params.StartingAfter)
	if err != nil {
		return nil, err
	}
	limit := page.Limit
	page.Limit++ // one more tells that there is another page
	found, err := h.Store.HookDeliveries(ctx, r.Aid, r.Hid, page)
	if err != nil {
		return nil, err
	}
	list := hooksapi.DeliveryList{Deliveries: []hooksapi.Delivery{}}
	if len(found) > limit {
		found = found[:limit]
		list.StartingAfter = some(found[limit-1].ID.String())
	}
	for i := range found {
		list.Deliveries = append(list.Deliveries, deliveryOf(&found[i]))
	}
	return hooksapi.AidHooksSubscriptionsHidDeliveriesGet200JSONResponse(list), nil
}

// AidHooksSubscriptionsHidDeliveriesDidGet answers with a delivery, and what is sent.
func (h *hookHandlers) AidHooksSubscriptionsHidDeliveriesDidGet(
	ctx context.Context, r hooksapi.AidHooksSubscriptionsHidDeliveriesDidGetRequestObject,
) (hooksapi.AidHooksSubscriptionsHidDeliveriesDidGetResponseObject, error) {
	found, err := h.Store.HookDelivery(ctx, r.Aid, r.Hid, r.DeliveryID)
	if err != nil {
		return nil, err
	}
	facts, err := h.Store.HookFacts(ctx, r.Aid, []repository.HookEvent{found.HookEvent})
	if err != nil {
		return nil, err
	}
	hook, known := facts.Hooks[r.Hid]
	if !known { // it was removed meanwhile
		return nil, repository.ErrNotFound
	}
	details := deliveryDetailsOf(&found, hook.URL)
	if body, err := hooks.BodyOf(r.Aid, &found.HookEvent, &facts); err == nil {
		details.Request = &hooksapi.DeliveryRequest{Body: string(body)}
	}
	return hooksapi.AidHooksSubscriptionsHidDeliveriesDidGet200JSONResponse(details), nil
}

// AidHooksSubscriptionsHidDeliveriesDidRedeliverPost sends a delivery once more.
func (h *hookHandlers) AidHooksSubscriptionsHidDeliveriesDidRedeliverPost(
	ctx context.Context, r hooksapi.AidHooksSubscriptionsHidDeliveriesDidRedeliverPostRequestObject,
) (hooksapi.AidHooksSubscriptionsHidDeliveriesDidRedeliverPostResponseObject, error) {
	if err := h.Store.Redeliver(ctx, r.Aid, r.Hid, r.DeliveryID, ledger.MicrosOf(time.Now())); err != nil {
		return nil, err
	}
	h.Hooks.Wake()
	return hooksapi.AidHooksSubscriptionsHidDeliveriesDidRedeliverPost204Response{}, nil
}

// Conversions to the contract's types. The secret is in none of them.

func subscriptionOf(h *repository.HookSubscription) hooksapi.Subscription {
	shown := hooksapi.Subscription{
		ID: h.ID, CreatedAt: h.CreatedAt.Time(), CreatedBy: h.CreatedBy, Active: h.Active,
		Config: hooksapi.Config{URL: h.URL, ContentType: hooksapi.ContentTypeApplicationJSON}, Events: []hooksapi.EventName{},
	}
	if h.Transactions {
		shown.Events = append(shown.Events, hooksapi.EventNameWalletTransaction)
	}
	if h.Cards {
		shown.Events = append(shown.Events, hooksapi.EventNameWalletCard)
	}
	return shown
}

func deliveryOf(d *repository.HookDelivery) hooksapi.Delivery {
	shown := hooksapi.Delivery{
		ID: d.ID, EventDelivery: d.ID, CreatedAt: d.CreatedAt.Time(), Event: hooksapi.DeliveryEvent(d.Event),
		State: hooksapi.DeliveryStatePending, Attempts: d.Attempts,
	}
	if d.Last != nil {
		shown.Status = some(d.Last.Status)
	}
	if d.SettledAt != nil {
		shown.State = hooksapi.DeliveryStateDead
		if d.Last.Delivered {
			shown.State = hooksapi.DeliveryStateDelivered
		}
	}
	return shown
}

func deliveryDetailsOf(d *repository.HookDelivery, url string) hooksapi.DeliveryDetails {
	short := deliveryOf(d)
	shown := hooksapi.DeliveryDetails{
		ID: short.ID, EventDelivery: short.EventDelivery, CreatedAt: short.CreatedAt, Event: short.Event, State: short.State,
		Attempts: short.Attempts, Status: short.Status, URL: url,
	}
	if d.SettledAt == nil && !d.InFlight && d.NextAt > 0 && d.Attempts > 0 {
		shown.NextAttemptAt = timeOf(&d.NextAt)
	}
	if last := d.Last; last != nil {
		shown.Details = &hooksapi.DeliveryAttempt{
			DeliveryAt: last.At.Time(), DeliveryDuration: last.Duration.Milliseconds(), DeliverySuccess: last.Delivered,
			Failure: some(last.Failure),
		}
		if last.Status != 0 {
			shown.Response = &hooksapi.DeliveryResponse{Body: last.Response}
		}
	}
	return shown
}
