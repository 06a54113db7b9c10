package ledger

import "github.com/google/uuid"

// conflicts compares a request with the transaction that already has its ref_id
// on the card. No problem means that it is the same request again. What the
// client sent is compared, never what came of it: a capture of the rest differs
// from a capture of the amount that the rest happened to be. A PIN is not compared.
func conflicts(op *Transact, token uuid.UUID, was *Transaction) []Problem {
	var problems []Problem
	differ := func(differs bool, pointer string) {
		if differs {
			problems = append(problems, Problem{
				Pointer: pointer, Reason: "differs from the request that used this ref_id first", ExistingID: was.ID,
			})
		}
	}
	address := op.address()
	switch {
	case was.Address == ByOpening:
		differ(true, "/ref_id")
	case address == ByTransaction || was.Address == ByTransaction:
		differ(op.Action.txnType() != was.Type || address != was.Address, "/type")
		differ(op.Parent != was.Parent, "transaction_id")
		differ(op.AmountGiven != was.AmountGiven || (op.AmountGiven && op.Amount != was.Amount), "/amount")
	default:
		differ((op.Action == ActionFund) != (was.Type == TypeFund), "/type")
		differ((op.Action == ActionPending) != (was.Type == TypePending), "/pending")
		differ(op.Amount != was.Amount, "/amount")
		differ(op.Currency != was.Currency, "/currency")
		differ(address == ByCardID && was.Address != ByCardID, "/card_id")
		differ(address == ByToken && token != was.Token, "/token")
	}
	differ(op.Metadata != was.Metadata, "/metadata")
	differ(op.OriginatedBy != was.OriginatedBy, "/originated_by")
	return problems
}

// tokenConflicts compares a token request with the token that has its ref_id.
func tokenConflicts(next, was *Token) []Problem {
	var problems []Problem
	differ := func(differs bool, pointer string) {
		if differs {
			problems = append(problems, Problem{
				Pointer: pointer, Reason: "differs from the request that used this ref_id first", ExistingID: was.ID,
			})
		}
	}
	differ(next.Shape != was.Shape, "/format")
	differ(next.ExpiresIn != was.ExpiresIn, "/expires_in")
	differ(next.SingleUse != was.SingleUse, "/expires_after_transaction")
	differ(next.Metadata != was.Metadata, "/metadata")
	return problems
}
