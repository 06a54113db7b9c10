package proof

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
)

// state says what a client knows about what it meant to do.
type state int

const (
	open         state = iota // it goes on asking
	acknowledged              // it was told 200
	refused                   // it was told that it cannot be
	abandoned                 // it has stopped asking without knowing
)

// intent is one request that a client means to have done once, however often it has to
// ask.
type intent struct {
	card, ref string
	path      string
	body      []byte

	state state
	// told is the first 200, and code that of the refusal.
	told answer
	code string
	// attempts is how often it was sent, and replayed whether the answer was one again.
	attempts int
	replayed bool
}

// isToken tells whether a token was asked for: its clear value comes once only.
func (i *intent) isToken() bool { return i.path == cardPath(i.card)+"/tokens" }

// transaction has the fields of an answer that the checks need.
type transaction struct {
	ID       string `json:"id"`
	RefID    string `json:"ref_id"`
	Type     string `json:"type"`
	Amount   int64  `json:"amount"`
	ParentID string `json:"parent_id"`
}

// card has the fields of an answer that the checks need.
type card struct {
	ID        string `json:"id"`
	CardID    string `json:"card_id"`
	Funds     int64  `json:"amount_funds"`
	Drawdown  int64  `json:"amount_drawdown"`
	Balance   int64  `json:"amount_balance"`
	Pending   int64  `json:"amount_pending"`
	Reserved  int64  `json:"amount_reserved"`
	Available int64  `json:"amount_available"`
}

func cardPath(cardID string) string { return "/cards/" + cardID }

// journal is what all clients of a load have meant and were told.
type journal struct {
	writing sync.Mutex
	intents []*intent
	holds   []hold
	next    int
}

// hold is an open pending transaction, as far as the clients know.
type hold struct{ card, id string }

// intend notes what a client means to do, under a ref_id that nobody has used. The body
// lacks that only.
func (j *journal) intend(cardID, path string, fields map[string]any) (*intent, error) {
	j.writing.Lock()
	defer j.writing.Unlock()
	j.next++
	i := &intent{card: cardID, ref: fmt.Sprintf("ref-%d", j.next), path: path}
	fields["ref_id"] = i.ref
	var err error
	if i.body, err = json.Marshal(fields); err != nil {
		return nil, fmt.Errorf("write a request: %w", err)
	}
	j.intents = append(j.intents, i)
	return i, nil
}

// settle notes an outcome.
func (j *journal) settle(i *intent, outcome state, told answer) {
	j.writing.Lock()
	defer j.writing.Unlock()
	i.state, i.code = outcome, told.code()
	if outcome != acknowledged {
		return
	}
	i.told, i.replayed = told, told.header.Get("Idempotency-Replayed") == "true"
	var txn transaction
	if json.Unmarshal(told.body, &txn) == nil && txn.Type == "pending_capture" {
		j.holds = append(j.holds, hold{i.card, txn.ID})
	}
}

// hold picks one of the last holds: the clients shall meet on them.
func (j *journal) hold(pick func(n int) int) (hold, bool) {
	const last = 16
	j.writing.Lock()
	defer j.writing.Unlock()
	recent := j.holds[max(0, len(j.holds)-last):]
	if len(recent) == 0 {
		return hold{}, false
	}
	return recent[pick(len(recent))], true
}

// count tells how many have an outcome.
func (j *journal) count(outcome state) (n int64) {
	j.writing.Lock()
	defer j.writing.Unlock()
	for _, i := range j.intents {
		if i.state == outcome {
			n++
		}
	}
	return n
}

// expected are the refusals that a client can run into by itself.
var expected = map[string]int{
	"insufficient_funds":      http.StatusConflict,
	"transaction_not_pending": http.StatusConflict,
	"amount_exceeds_reserved": http.StatusConflict,
	"token_used":              http.StatusConflict,
}
