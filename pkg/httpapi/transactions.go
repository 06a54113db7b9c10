package httpapi

import (
	"context"

	"github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/ledger"
)

// AidCardsTransactionsPost moves or locks money on a card.
func (h *handlers) AidCardsTransactionsPost(
	ctx context.Context, r api.AidCardsTransactionsPostRequestObject,
) (api.AidCardsTransactionsPostResponseObject, error) {
	action, err := actionOf(r.Body)
	if err != nil {
		return nil, err
	}
	if (action == ledger.ActionFund || r.Body.CardID != nil) && !mayManage(ctx) {
		return nil, fail(api.ErrorCodeForbidden)
	}
	op := &ledger.Transact{
		Action: action, RefID: r.Body.RefID, CardID: given(r.Body.CardID),
		Amount: r.Body.Amount, AmountGiven: true, Currency: ledger.Currency(r.Body.Currency),
		OriginatedBy: given(r.Body.OriginatedBy), PIN: h.pinCheck(r.Aid, r.Body.Pin, r.Body.Token != nil),
	}
	if r.Body.Token != nil {
		op.TokenHash, op.OtherHashes = h.tokenHashes(r.Aid, cardcode.Secret(*r.Body.Token))
	}
	txn, again, err := h.transact(ctx, r.Aid, op, r.Body.Metadata)
	if err != nil {
		return nil, err
	}
	return api.AidCardsTransactionsPost200JSONResponse{
		Body: txn, Headers: api.AidCardsTransactionsPost200ResponseHeaders{IdempotencyReplayed: again},
	}, nil
}

// actionOf reads what is asked for, and checks what the contract's schema cannot say.
func actionOf(body *api.TransactionCreate) (ledger.Action, error) {
	fund := given(body.Type) == api.TransactionCreateTypeFund
	switch {
	case (body.Token == nil) == (body.CardID == nil):
		const reason = "exactly one of token and card_id must be given"
		return "", fail(api.ErrorCodeInvalidRequest,
			problem{Pointer: "/token", Reason: reason}, problem{Pointer: "/card_id", Reason: reason})
	case fund && given(body.Pending):
		return "", invalid("/pending", "must not be true for a fund")
	case fund:
		return ledger.ActionFund, nil
	case given(body.Pending):
		return ledger.ActionPending, nil
	default:
		return ledger.ActionDrawdown, nil
	}
}

// AidCardsCardidTransactionsCapturePost takes money that a pending transaction locks.
func (h *handlers) AidCardsCardidTransactionsCapturePost(
	ctx context.Context, r api.AidCardsCardidTransactionsCapturePostRequestObject,
) (api.AidCardsCardidTransactionsCapturePostResponseObject, error) {
	txn, again, err := h.transact(ctx, r.Aid, &ledger.Transact{
		Action: ledger.ActionCapture, RefID: r.Body.RefID, Parent: r.TransactionID,
		Amount: given(r.Body.Amount), AmountGiven: r.Body.Amount != nil,
	}, r.Body.Metadata)
	if err != nil {
		return nil, err
	}
	return api.AidCardsCardidTransactionsCapturePost200JSONResponse{
		Body: txn, Headers: api.AidCardsCardidTransactionsCapturePost200ResponseHeaders{IdempotencyReplayed: again},
	}, nil
}

// AidCardsCardidTransactionsVoidPost releases what a pending transaction still locks.
func (h *handlers) AidCardsCardidTransactionsVoidPost(
	ctx context.Context, r api.AidCardsCardidTransactionsVoidPostRequestObject,
) (api.AidCardsCardidTransactionsVoidPostResponseObject, error) {
	txn, again, err := h.transact(ctx, r.Aid, &ledger.Transact{
		Action: ledger.ActionVoid, RefID: r.Body.RefID, Parent: r.TransactionID,
	}, r.Body.Metadata)
	if err != nil {
		return nil, err
	}
	return api.AidCardsCardidTransactionsVoidPost200JSONResponse{
		Body: txn, Headers: api.AidCardsCardidTransactionsVoidPost200ResponseHeaders{IdempotencyReplayed: again},
	}, nil
}

// transact completes an operation, submits it, and gives the transaction and the
// value of the replay header.
func (h *handlers) transact(
	ctx context.Context, account string, op *ledger.Transact, metadata api.Metadata,
) (api.Transaction, *bool, error) {
	var err error
	if op.ID, err = newID(); err != nil {
		return api.Transaction{}, nil, err
	}
	if op.Metadata, err = canonical(metadata); err != nil {
		return api.Transaction{}, nil, err
	}
	op.By = principalOf(ctx).Subject
	result, err := h.Submit(ctx, account, op)
	if err != nil {
		return api.Transaction{}, nil, err
	}
	return transactionOf(&result.Txn), replayed(result.Replayed), nil
}
