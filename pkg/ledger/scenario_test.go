package ledger_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// Scenarios are stories that a person can read: one operation a line, what it must
// come to, and what the card looks like afterwards.
//
//	operation -> outcome  status funds drawdown pending balance available
//
// The outcome is ok, replayed or the code of a refusal. Behind it stands the card
// that the line is about: its status (with "deleted" in front of it when it is)
// and five amounts. A line that is about no card ends after the outcome. What
// follows a # is a remark.
//
//	create CARD AMOUNT [from +1h] [until +2h] [pin 1234] [token V]
//	batch CARD…
//	activate CARD AMOUNT [until +2h]
//	fund|draw|pend CARD|token:V AMOUNT ref R [in EUR] [pin 1234]
//	capture CARD/R [AMOUNT] ref R      the hold that was opened under a ref_id
//	void CARD/R ref R
//	token CARD V,V… ref R [for SECONDS] [reusable]
//	look token:V [pin 1234]
//	rotate CARD 1234
//	delete CARD
//	clock +15m                         moves the clock; has no outcome
func TestScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file) //nolint:gosec // a file of this directory
			if err != nil {
				t.Fatal(err)
			}
			s := &scenario{world: newWorld(t), holds: map[string]uuid.UUID{}, tokens: map[string]string{}}
			for i, line := range strings.Split(string(text), "\n") {
				line, _, _ = strings.Cut(line, "#")
				if line = strings.TrimSpace(line); line == "" {
					continue
				}
				if err := s.play(line); err != nil {
					t.Fatalf("%s:%d: %s\n%v", file, i+1, line, err)
				}
			}
		})
	}
}

// scenario plays one file.
type scenario struct {
	*world
	holds  map[string]uuid.UUID // CARD/REF → the pending transaction
	tokens map[string]string    // value → CARD
}

// play plays a line and compares what came of it.
func (s *scenario) play(line string) error {
	left, right, both := strings.Cut(line, "->")
	words := strings.Fields(left)
	if words[0] == "clock" {
		d, err := time.ParseDuration(strings.TrimPrefix(words[1], "+"))
		s.later(d)
		return err
	}
	if !both {
		return fmt.Errorf("no outcome")
	}
	op, card, err := s.parse(words)
	if err != nil {
		return err
	}
	want := strings.Fields(right)
	if got := s.outcome(op); got != want[0] {
		return fmt.Errorf("outcome is %s, must be %s", got, want[0])
	}
	if len(want) == 1 {
		return nil
	}
	if got, must := s.show(card), strings.Join(want[1:], " "); got != must {
		return fmt.Errorf("card is %s, must be %s", got, must)
	}
	return nil
}

func (s *scenario) outcome(op ledger.Operation) string {
	result, refusal := s.try(op)
	switch {
	case refusal != nil:
		return string(refusal.Code)
	case result.Replayed:
		return "replayed"
	}
	return "ok"
}

func (s *scenario) show(cardID string) string {
	c := s.card(cardID)
	status := string(c.Status(s.now))
	if c.Deleted() {
		status = "deleted " + status
	}
	return fmt.Sprintf("%s %d %d %d %d %d", status, c.Funds, c.Drawdown, c.Pending, c.Balance.Balance(), c.Available())
}

// options are the words of a line that come in pairs.
type options map[string]string

// split takes the pairs out of a line. What is left stands in a fixed order.
func split(words []string) ([]string, options) {
	var fixed []string
	pairs := options{}
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "ref", "in", "pin", "from", "until", "for", "token":
			if i > 0 && i+1 < len(words) {
				pairs[words[i]] = words[i+1]
				i++
				continue
			}
		}
		fixed = append(fixed, words[i])
	}
	return fixed, pairs
}

// parse makes the operation of a line, and tells which card the line is about.
func (s *scenario) parse(words []string) (ledger.Operation, string, error) {
	words, with := split(words)
	verb, subject, rest := words[0], words[1], words[2:]
	switch verb {
	case "create":
		return s.parseCreate(subject, rest, with)
	case "batch":
		return s.batch(words[1:]...), subject, nil
	case "activate":
		amount, err := strconv.ParseInt(rest[0], 10, 64)
		op := s.activate(subject, amount)
		op.ExpiresAt = s.moment(with["until"])
		return op, subject, err
	case "fund", "draw", "pend":
		return s.parseMoney(verb, subject, rest, with)
	case "capture", "void":
		return s.parseSettlement(verb, subject, rest, with)
	case "token":
		return s.parseToken(subject, rest, with)
	case "look":
		value := strings.TrimPrefix(subject, "token:")
		return &ledger.CheckPIN{TokenHash: hashOf(value), PIN: check(with)}, s.tokens[value], nil
	case "rotate":
		return s.rotate(subject, rest[0]), subject, nil
	case "delete":
		return s.delete(subject), subject, nil
	}
	return nil, "", fmt.Errorf("unknown operation")
}

// moment reads a distance from now.
func (s *scenario) moment(text string) *ledger.Micros {
	d, err := time.ParseDuration(strings.TrimPrefix(text, "+"))
	if err != nil {
		return nil // not given
	}
	at := s.now.Add(d)
	return &at
}

func check(with options) ledger.PINCheck {
	if value, sent := with["pin"]; sent {
		return sending(value)
	}
	return ledger.PINCheck{}
}

func (s *scenario) parseCreate(cardID string, rest []string, with options) (ledger.Operation, string, error) {
	amount, err := strconv.ParseInt(rest[0], 10, 64)
	op := s.create(cardID, amount, func(n *ledger.NewCard) {
		n.Card.ActiveFrom, n.Card.ExpiresAt = s.moment(with["from"]), s.moment(with["until"])
	})
	if value, given := with["pin"]; given {
		s.withPIN(value)(&op.Cards[0])
	}
	if value, given := with["token"]; given {
		s.withToken(value)(&op.Cards[0])
		s.tokens[value] = cardID
	}
	return op, cardID, err
}

func (s *scenario) parseMoney(verb, subject string, rest []string, with options) (ledger.Operation, string, error) {
	action := map[string]ledger.Action{
		"fund": ledger.ActionFund, "draw": ledger.ActionDrawdown, "pend": ledger.ActionPending,
	}[verb]
	amount, err := strconv.ParseInt(rest[0], 10, 64)
	op := s.money(action, subject, with["ref"], amount)
	op.PIN = check(with)
	if currency, given := with["in"]; given {
		op.Currency = ledger.Currency(currency)
	}
	card := subject
	if value, is := strings.CutPrefix(subject, "token:"); is {
		byToken(op, value)
		card = s.tokens[value]
	}
	if key := card + "/" + with["ref"]; action == ledger.ActionPending && s.holds[key] == uuid.Nil {
		s.holds[key] = op.ID
	}
	return op, card, err
}

func (s *scenario) parseSettlement(verb, subject string, rest []string, with options) (ledger.Operation, string, error) {
	card, _, _ := strings.Cut(subject, "/")
	parent, known := s.holds[subject]
	if !known {
		return nil, "", fmt.Errorf("no pending transaction %s so far", subject)
	}
	if verb == "void" {
		return s.void(parent, with["ref"]), card, nil
	}
	if len(rest) == 0 {
		return s.captureRest(parent, with["ref"]), card, nil
	}
	amount, err := strconv.ParseInt(rest[0], 10, 64)
	return s.capture(parent, with["ref"], amount), card, err
}

func (s *scenario) parseToken(cardID string, rest []string, with options) (ledger.Operation, string, error) {
	values := strings.Split(rest[0], ",")
	for _, value := range values {
		if s.tokens[value] == "" {
			s.tokens[value] = cardID
		}
	}
	op := s.token(cardID, with["ref"], values...)
	op.New.Token.SingleUse = len(rest) < 2 || rest[1] != "reusable"
	if seconds, given := with["for"]; given {
		n, err := strconv.ParseInt(seconds, 10, 64)
		op.New.Token.ExpiresIn = n
		return op, cardID, err
	}
	return op, cardID, nil
}
