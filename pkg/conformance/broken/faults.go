package main

// fault is one rule that the test build breaks when it is started with the fault's name.
type fault struct {
	name string
	// rule is what it breaks.
	rule string
	// file holds old exactly once; new stands in its place and asks faulty("name").
	file, old, new string
}

// Files that several faults are in.
const (
	convert  = "pkg/httpapi/convert.go"
	access   = "pkg/httpapi/access.go"
	validate = "pkg/httpapi/validate.go"
	edge     = "pkg/httpapi/middleware.go"
	txns     = "pkg/httpapi/transactions.go"
	decide   = "pkg/ledger/decide.go"
	post     = "pkg/ledger/post.go"
	project  = "pkg/ledger/project.go"
	card     = "pkg/ledger/card.go"
	replay   = "pkg/ledger/replay.go"
	pin      = "pkg/ledger/pin.go"
	list     = "pkg/repository/list.go"
	reading  = "pkg/strictjson/check.go"
)

// faults are the wrong servers, by the sections of the contract.
var faults = []fault{
	// Surface.
	{
		"created-201", "every operation answers 200", edge,
		`		header.Set(echo.HeaderXContentTypeOptions, "nosniff")
`,
		`		header.Set(echo.HeaderXContentTypeOptions, "nosniff")
		if faulty("created-201") && c.Request().Method == http.MethodPost && strings.HasSuffix(c.Path(), "/cards") {
			c.Response().Before(func() {
				if c.Response().Status == http.StatusOK {
					c.Response().Status = http.StatusCreated
				}
			})
		}
`,
	},
	{
		"no-request-id", "every answer carries X-Request-Id", edge,
		`c.Response().Header().Set(echo.HeaderXRequestID, id)`,
		`c.Response().Header().Set(echo.HeaderXRequestID, map[bool]string{false: id}[faulty("no-request-id")])`,
	},
	{
		"metadata-rounded", "metadata comes back exactly", convert,
		`	return json.RawMessage(text)
`,
		`	if faulty("metadata-rounded") {
		var value any
		if json.Unmarshal([]byte(text), &value) == nil {
			if rounded, err := json.Marshal(value); err == nil {
				return rounded
			}
		}
	}
	return json.RawMessage(text)
`,
	},
	{
		"created-by-nobody", "created_by is the sub of the access token", "pkg/httpapi/cards.go",
		`	subject := principalOf(ctx).Subject
`,
		`	subject := map[bool]string{false: principalOf(ctx).Subject, true: "server"}[faulty("created-by-nobody")]
`,
	},

	// Money and status.
	{
		"drawdown-taken-twice", "a drawdown takes its amount once", project,
		`	case t.Type == TypeDrawdown && t.Address != ByTransaction:
		next.Drawdown += t.Amount
`,
		`	case t.Type == TypeDrawdown && t.Address != ByTransaction:
		next.Drawdown += t.Amount
		if faulty("drawdown-taken-twice") {
			next.Drawdown = min(next.Drawdown+t.Amount, next.Funds-next.Reserved)
		}
`,
	},
	{
		"locked-is-available", "amount_available is without what is locked", convert,
		`		AmountBalance: c.Balance.Balance(), AmountAvailable: c.Available(), AmountFunds: c.Funds,
		AmountDrawdown: c.Drawdown, AmountPending: c.Pending, AmountReserved: c.Reserved,
		ActiveFrom`,
		`		AmountBalance: c.Balance.Balance(), AmountAvailable: c.Available() + map[bool]int64{true: c.Reserved}[faulty("locked-is-available")],
		AmountFunds: c.Funds, AmountDrawdown: c.Drawdown, AmountPending: c.Pending, AmountReserved: c.Reserved,
		ActiveFrom`,
	},
	{
		"opening-without-its-ref", "the ref_id of the opening fund is the id of the card", decide,
		`RefID: card.ID.String(),`,
		`RefID: map[bool]string{false: card.ID.String(), true: "opening"}[faulty("opening-without-its-ref")],`,
	},
	{
		"no-opening-fund", "the opening amount is a fund transaction", post,
		`	if card.Amount == 0 {
		b.putCard(card)`,
		`	if card.Amount == 0 || faulty("no-opening-fund") {
		b.putCard(card)`,
	},
	{
		"overflow-is-insufficient", "a fund beyond 2^53-1 is amount_overflow", decide,
		`refuseAt(CodeAmountOverflow, `,
		`refuseAt(map[bool]Code{false: CodeAmountOverflow, true: CodeInsufficientFunds}[faulty("overflow-is-insufficient")], `,
	},
	{
		"a-lock-is-use", "money that is only locked does not make a card used", card,
		`	case c.Drawdown == 0:`,
		`	case c.Drawdown == 0 && (!faulty("a-lock-is-use") || c.Pending == 0):`,
	},
	{
		"use-hides-expiry", "expired comes before used", card,
		`	case reached(c.ExpiresAt, now):`,
		`	case reached(c.ExpiresAt, now) && !(faulty("use-hides-expiry") && c.Drawdown > 0):`,
	},

	// Transactions.
	{
		"expired-cards-pay", "new transactions on an expired card are refused", decide,
		`	case reached(card.ExpiresAt, now):`,
		`	case reached(card.ExpiresAt, now) && !faulty("expired-cards-pay"):`,
	},
	{
		"no-capture-after-expiry", "a hold that was made in time can be captured on an expired card", decide,
		`	if op.Action == ActionCapture || op.Action == ActionVoid {
		return nil`,
		`	if faulty("no-capture-after-expiry") && reached(s.Card.ExpiresAt, now) {
		return refuse(CodeCardExpired)
	}
	if op.Action == ActionCapture || op.Action == ActionVoid {
		return nil`,
	},
	{
		"any-currency", "a transaction has the currency of its card", decide,
		`	case op.Currency != card.Currency:`,
		`	case op.Currency != card.Currency && !faulty("any-currency"):`,
	},
	{
		"no-fund-before-active", "before active_from a fund is allowed", decide,
		`	case op.Action != ActionFund && card.ActiveFrom != nil`,
		`	case (op.Action != ActionFund || faulty("no-fund-before-active")) && card.ActiveFrom != nil`,
	},
	{
		"one-capture-only", "a hold can be captured in several parts", project,
		`	h.Open = h.Locked > 0
`,
		`	h.Open = h.Locked > 0 && !faulty("one-capture-only")
`,
	},
	{
		"pending-funds", "a fund cannot be pending", txns,
		`	case fund && given(body.Pending):`,
		`	case fund && given(body.Pending) && !faulty("pending-funds"):`,
	},
	{
		"token-and-card-id", "a token and a card_id exclude each other", txns,
		`	case (body.Token == nil) == (body.CardID == nil):`,
		`	case (body.Token == nil) == (body.CardID == nil) && !(faulty("token-and-card-id") && body.Token != nil):`,
	},
	{
		"void-as-drawdown", "a void is a transaction of the type voided", convert,
		`Type: api.TransactionType(t.Type),
		ParentID: some(t.Parent)`,
		`Type: api.TransactionType(map[bool]ledger.TxnType{false: t.Type, true: ledger.TypeDrawdown}[faulty("void-as-drawdown") && t.Type == ledger.TypeVoided]),
		ParentID: some(t.Parent)`,
	},
	{
		"captures-without-parent", "a capture names its pending transaction", convert,
		`ParentID: some(t.Parent), OriginatedBy`,
		`ParentID: map[bool]*uuid.UUID{false: some(t.Parent)}[faulty("captures-without-parent")], OriginatedBy`,
	},

	// ref_id.
	{
		"no-replay-header", "a replay says so in Idempotency-Replayed", convert,
		`return some(is) }`,
		`return some(is && !faulty("no-replay-header")) }`,
	},
	{
		"conflict-is-a-replay", "another request under the same ref_id is a conflict", post,
		`	if problems := conflicts(op, tokenID, &was); problems != nil {`,
		`	if problems := conflicts(op, tokenID, &was); problems != nil && !faulty("conflict-is-a-replay") {`,
	},
	{
		"metadata-not-compared", "metadata is compared", replay,
		`	differ(op.Metadata != was.Metadata, "/metadata")
	differ(op.OriginatedBy`,
		`	differ(op.Metadata != was.Metadata && !faulty("metadata-not-compared"), "/metadata")
	differ(op.OriginatedBy`,
	},
	{
		"capture-amount-not-compared", "a capture without amount differs from one with the equal amount", replay,
		`		differ(op.AmountGiven != was.AmountGiven || `,
		`		differ(op.AmountGiven != was.AmountGiven && !faulty("capture-amount-not-compared") || `,
	},
	{
		"no-replay-after-expiry", "the ref_id is looked up before the expiry of the card", post,
		`	if was, found := b.refs[RefKey{card.ID, op.RefID}]; found {`,
		`	if faulty("no-replay-after-expiry") && reached(card.ExpiresAt, b.now) {
		return Result{}, refuse(CodeCardExpired)
	}
	if was, found := b.refs[RefKey{card.ID, op.RefID}]; found {`,
	},

	// Tokens and PINs.
	{
		"token-pays-twice", "a token pays once by default", decide,
		`	if s.Token != nil && s.Token.used() {`,
		`	if s.Token != nil && s.Token.used() && !faulty("token-pays-twice") {`,
	},
	{
		"expired-tokens-inform", "an expired token is 404", "pkg/httpapi/tokens.go",
		`CardByToken(ctx, account, h.Clock(account), hashes...)`,
		`CardByToken(ctx, account, h.Clock(account)-map[bool]ledger.Micros{true: 3_600_000_000}[faulty("expired-tokens-inform")], hashes...)`,
	},
	{
		"masks-show-more", "a mask shows at most five characters", "pkg/cardcode/mask.go",
		`	for i := range masked {`,
		`	if faulty("masks-show-more") {
		shown += 3
	}
	for i := range masked {`,
	},
	{
		"six-guesses", "a PIN is locked after five wrong ones", pin,
		`	if next.Failures >= MaxPINFailures {`,
		`	if next.Failures >= MaxPINFailures && !(faulty("six-guesses") && next.Failures == MaxPINFailures) {`,
	},
	{
		"right-pin-does-not-reset", "a right PIN sets the count back", pin,
		`	if attempt == PINMatches {
		next.Failures = 0
`,
		`	if attempt == PINMatches {
		if !faulty("right-pin-does-not-reset") {
			next.Failures = 0
		}
`,
	},
	{
		"any-pin-will-do", "a wrong PIN is refused", pin,
		`	if attempt == PINMatches {
`,
		`	if attempt == PINMatches || faulty("any-pin-will-do") {
`,
	},
	{
		"rotation-changes-nothing", "after a rotation the old PIN is wrong", post,
		`		card.PIN = &pin
		b.putCard(card)`,
		`		if faulty("rotation-changes-nothing") && card.PIN != nil {
			pin.Hash, pin.KeyID = card.PIN.Hash, card.PIN.KeyID
		}
		card.PIN = &pin
		b.putCard(card)`,
	},

	// Lists.
	{
		"upper-bounds-dropped", "a filter is never dropped", list,
		`	if r.To != nil {`,
		`	if r.To != nil && !faulty("upper-bounds-dropped") {`,
	},
	{
		"cursor-on-the-last-page", "the last page has no starting_after", list,
		`	if len(rows) > p.Limit { `,
		`	if len(rows) > p.Limit || faulty("cursor-on-the-last-page") && len(rows) == p.Limit { `,
	},
	{
		"any-cursor", "a cursor that nobody knows is a 400", "pkg/repository/listing.go",
		`	if !known {
		return ErrUnknownCursor`,
		`	if !known && !faulty("any-cursor") {
		return ErrUnknownCursor`,
	},
	{
		"status-filter-by-locks", "the status filter follows the rule of the field", list,
		`		q.Where("c.amount_drawdown = 0")
`,
		`		q.Where(map[bool]string{false: "c.amount_drawdown = 0", true: "c.amount_drawdown + c.amount_pending = 0"}[faulty("status-filter-by-locks")])
`,
	},
	{
		"wildcards-in-search", "wildcards in search are literal", "pkg/repository/search.go",
		"	return \"%\" + strings.NewReplacer(`\\`, `\\\\`, `%`, `\\%`, `_`, `\\_`).Replace(fold(text)) + \"%\"",
		"	if faulty(\"wildcards-in-search\") {\n		return \"%\" + fold(text) + \"%\"\n	}\n" +
			"	return \"%\" + strings.NewReplacer(`\\`, `\\\\`, `%`, `\\%`, `_`, `\\_`).Replace(fold(text)) + \"%\"",
	},
	{
		"search-without-amount", "search finds the exact amount", list,
		`	if amount, err := strconv.ParseUint(f.Search, 10, 63); err == nil {`,
		`	if amount, err := strconv.ParseUint(f.Search, 10, 63); err == nil && !faulty("search-without-amount") {`,
	},

	// Deletion, batch, activation.
	{
		"deleted-with-pending", "a card with an open hold cannot be deleted", post,
		`	if card.OpenHolds > 0 {`,
		`	if card.OpenHolds > 0 && !faulty("deleted-with-pending") {`,
	},
	{
		"deleted-cards-stay", "a deleted card is gone", post,
		`	at := b.now
	card.DeletedAt`,
		`	if faulty("deleted-cards-stay") {
		return Result{Cards: []Card{card}}, nil
	}
	at := b.now
	card.DeletedAt`,
	},
	{
		"lists-show-deleted", "deleted cards are listed on request only", list,
		`	if !f.IncludeDeleted {`,
		`	if !f.IncludeDeleted && !faulty("lists-show-deleted") {`,
	},
	{
		"taken-without-its-id", "existing_id names the card that has the card_id", post,
		`, ExistingID: existing})`,
		`, ExistingID: map[bool]uuid.UUID{false: existing}[faulty("taken-without-its-id")]})`,
	},
	{
		"activated-without-active-from", "active_from of an activation is now unless given", post,
		`	card.ActiveFrom = &now
`,
		`	if !faulty("activated-without-active-from") {
		card.ActiveFrom = &now
	}
`,
	},
	{
		"inactive-is-not-found", "a transaction on an inactive card is card_inactive", decide,
		`		return refuse(CodeCardInactive)`,
		`		return refuse(map[bool]Code{false: CodeCardInactive, true: CodeNotFound}[faulty("inactive-is-not-found")])`,
	},

	// Errors and their order, strict reading.
	{
		"refusals-echo-queries", "a value of a request is never repeated", validate,
		`		return "must be an integer written in digits"`,
		`		return "must be an integer written in digits" + map[bool]string{true: ", not " + value}[faulty("refusals-echo-queries")]`,
	},
	{
		"spent-token-first", "the state of the card comes before that of the token", decide,
		`	if refusal := checkDates(now, s, op); refusal != nil {`,
		`	if faulty("spent-token-first") && s.Token != nil && s.Token.used() {
		return Transaction{}, refuse(CodeTokenUsed)
	}
	if refusal := checkDates(now, s, op); refusal != nil {`,
	},
	{
		"length-after-token", "the declared length comes before the access token", validate,
		`	if o.takesBody() && c.Request().ContentLength > o.maxBody {`,
		`	if o.takesBody() && c.Request().ContentLength > o.maxBody && !faulty("length-after-token") {`,
	},
	{
		"duplicate-keys", "a key stands once", reading,
		`		if !keys.add(key) {`,
		`		if !keys.add(key) && !faulty("duplicate-keys") {`,
	},
	{
		"keys-in-any-case", "keys are exact", reading,
		`		if known := schema.misspelt(key); known != "" {`,
		`		if known := schema.misspelt(key); known != "" && !faulty("keys-in-any-case") {`,
	},
	{
		"null-is-nothing", "null for an optional field is a 400", reading,
		`	if schema != nil && !schema.Nullable {`,
		`	if schema != nil && !schema.Nullable && !faulty("null-is-nothing") {`,
	},
	{
		"any-media-type", "a body is declared as application/json", validate,
		`	return err == nil && mediaType == jsonType && `,
		`	return faulty("any-media-type") || err == nil && mediaType == jsonType && `,
	},

	// Identity.
	{
		"expired-access", "an expired access token is 401", "pkg/auth/claims.go",
		`	case !now.Before(c.expires.Add(Leeway)):`,
		`	case !now.Before(c.expires.Add(Leeway)) && !faulty("expired-access"):`,
	},
	{
		"signatures-unread", "an access token with another signature is 401", "pkg/auth/verifier.go",
		`	if key.verifier.Verify([]byte(parsed.signed), parsed.signature, key.public) != nil {`,
		`	if key.verifier.Verify([]byte(parsed.signed), parsed.signature, key.public) != nil && !faulty("signatures-unread") {`,
	},
	{
		"any-account", "an access token for one account opens no other", access,
		`!principal.OpensAccount(account) {`,
		`!principal.OpensAccount(account) && !faulty("any-account") {`,
	},
	{
		"any-scope", "a scope opens the operations that list it", access,
		`	if err != nil || !principal.HasScope(o.scopes...) ||`,
		`	if faulty("any-scope") && principal.OpensAccount(account) {
		return nil
	}
	if err != nil || !principal.HasScope(o.scopes...) ||`,
	},
	{
		"customers-see-others", "user:wallets opens one customer only", access,
		`customer != principal.Subject {`,
		`customer != principal.Subject && !faulty("customers-see-others") {`,
	},
	{
		"tills-name-cards", "card_id needs more than write:wallets:/transactions", access,
		`	return principalOf(ctx).HasScope(auth.ScopeAdmin, auth.ScopeWrite)`,
		`	return principalOf(ctx).HasScope(auth.ScopeAdmin, auth.ScopeWrite) || faulty("tills-name-cards")`,
	},
}

// imports are what the faults need beside what a file imports.
var imports = map[string]string{convert: "github.com/google/uuid"}
