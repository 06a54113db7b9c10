package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// The format of a saved state: a line of JSON for the head of the file, for each
// account, each of its cards and its end, and a last one with the SHA-256 of all before
// it. Cards come in the order in which an audit reads them, so that neither writing nor
// reading keeps more than one.
const (
	stateFormat  = "kort verified state"
	stateVersion = 1
	// maxStateLine bounds a line, in bytes: a card with some hundred thousand open holds.
	maxStateLine = 64 << 20
)

// ErrState is wrapped by all that is wrong with a saved state.
var ErrState = errors.New("the saved state cannot be used")

// stateLine is a line; one of its parts is there.
type stateLine struct {
	Head    *stateHead   `json:"head,omitempty"`
	Account *string      `json:"account,omitempty"`
	Card    *standing    `json:"card,omitempty"`
	End     *stateTotals `json:"end,omitempty"`
	SHA256  string       `json:"sha256,omitempty"`
}

type stateHead struct {
	Format  string    `json:"format"`
	Version int       `json:"version"`
	Time    time.Time `json:"time"`
	Account string    `json:"account,omitempty"` // the only one; empty for all
}

type stateTotals struct {
	Root         string `json:"root"`
	Cards        int64  `json:"cards"`
	Transactions int64  `json:"transactions"`
}

// standing is what was verified of a card.
type standing struct {
	ID       uuid.UUID     `json:"id"`
	Seq      int64         `json:"seq"`
	Digest   string        `json:"digest"`
	Funds    int64         `json:"funds"` // amounts in minor currency units
	Drawdown int64         `json:"drawdown"`
	Pending  int64         `json:"pending"` // and reserved: a verified card has no more
	LastAt   ledger.Micros `json:"last_at"`
	Holds    []openHold    `json:"holds,omitempty"`

	digest ledger.Digest
}

// openHold is a hold that was open.
type openHold struct {
	ID     uuid.UUID `json:"id"`
	Amount int64     `json:"amount"`
	Locked int64     `json:"locked"`
}

// StateWriter writes down what an audit has verified, for [OpenState]. An audit that
// finds anything leaves behind a state that must not be used.
type StateWriter struct {
	to      *bufio.Writer
	sum     hash.Hash
	tree    tree
	failure error // the first
}

// NewStateWriter begins a state of a moment, of one account or, when none is named, of
// all.
func NewStateWriter(to io.Writer, at time.Time, account string) *StateWriter {
	w := &StateWriter{to: bufio.NewWriter(to), sum: sha256.New()}
	w.line(stateLine{Head: &stateHead{Format: stateFormat, Version: stateVersion, Time: at.UTC(), Account: account}})
	return w
}

func (w *StateWriter) line(line stateLine) {
	if w.failure != nil {
		return
	}
	text, err := json.Marshal(line)
	if err == nil {
		text = append(text, '\n')
		w.sum.Write(text)
		_, err = w.to.Write(text)
	}
	w.failure = err
}

func (w *StateWriter) begin(account string) {
	w.tree = tree{}
	w.line(stateLine{Account: &account})
}

// card writes a card after its last transaction.
func (w *StateWriter) card(h *history) {
	is := h.restored()
	s := standing{
		ID: is.ID, Seq: is.Seq, Digest: is.Digest.String(), Funds: is.Funds, Drawdown: is.Drawdown, Pending: is.Pending,
		LastAt: is.LastTxnAt,
	}
	for _, one := range h.openHolds() {
		s.Holds = append(s.Holds, openHold{ID: one.ID, Amount: one.Amount, Locked: one.Locked})
	}
	w.tree.add(is.ID, position{is.Seq, is.Digest})
	w.line(stateLine{Card: &s})
}

func (w *StateWriter) end() {
	head := w.tree.sum("")
	w.line(stateLine{End: &stateTotals{Root: head.Root.String(), Cards: head.Cards, Transactions: head.Transactions}})
}

// Close ends the state. The error is the first of all that went wrong in writing it.
func (w *StateWriter) Close() error {
	w.line(stateLine{SHA256: hex.EncodeToString(w.sum.Sum(nil))})
	if w.failure == nil {
		w.failure = w.to.Flush()
	}
	if w.failure != nil {
		return fmt.Errorf("save the state: %w", w.failure)
	}
	return nil
}

// State is a saved state, read from its beginning to its end once.
type State struct {
	Time    time.Time // when it was saved
	Account string    // the only one; empty for all

	lines   *bufio.Scanner
	account *string   // the one that comes next, or whose cards come next
	card    *standing // the next card of the account; nil after the last
	tree    tree
}

// OpenState reads through a saved state to see that it is whole, and begins it. An error
// wraps [ErrState] where the state is damaged or has another format.
func OpenState(from io.ReadSeeker) (*State, error) {
	if err := wholeState(from); err != nil {
		return nil, err
	}
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read the saved state: %w", err)
	}
	s := &State{lines: stateLines(from)}
	line, err := s.line()
	if err != nil {
		return nil, err
	}
	s.Time, s.Account = line.Head.Time, line.Head.Account
	return s, s.nextAccount()
}

func stateLines(from io.Reader) *bufio.Scanner {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, bufio.MaxScanTokenSize), maxStateLine)
	return lines
}

// wholeState checks the first line and compares the last with all before it.
func wholeState(from io.Reader) error {
	lines := stateLines(from)
	sum, before := sha256.New(), []byte(nil)
	first := true
	for lines.Scan() {
		if before != nil {
			sum.Write(append(before, '\n'))
		}
		before = append(before[:0], lines.Bytes()...)
		if first {
			if err := ourState(before); err != nil {
				return err
			}
			first = false
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("read the saved state: %w", err)
	}
	want, err := json.Marshal(stateLine{SHA256: hex.EncodeToString(sum.Sum(nil))})
	if err != nil || lines.Err() != nil || !bytes.Equal(before, want) {
		return fmt.Errorf("%w: it is damaged: its last line is not that of what is before it", ErrState)
	}
	return nil
}

// ourState checks the first line.
func ourState(text []byte) error {
	var line stateLine
	if err := json.Unmarshal(text, &line); err != nil || line.Head == nil || line.Head.Format != stateFormat {
		return fmt.Errorf("%w: it is none that kort verify has saved", ErrState)
	}
	if line.Head.Version != stateVersion {
		return fmt.Errorf("%w: it has version %d, and this program reads version %d: save a new one after a full verify",
			ErrState, line.Head.Version, stateVersion)
	}
	return nil
}

// line reads the next line.
func (s *State) line() (stateLine, error) {
	var line stateLine
	if !s.lines.Scan() {
		return line, fmt.Errorf("%w: it ends too early (%w)", ErrState, errors.Join(s.lines.Err(), io.ErrUnexpectedEOF))
	}
	if err := json.Unmarshal(s.lines.Bytes(), &line); err != nil {
		return line, fmt.Errorf("%w: %w", ErrState, err)
	}
	return line, nil
}

// errStateOrder is the wrong kind of line, or the wrong card.
var errStateOrder = fmt.Errorf("%w: its lines are not in the order in which they were saved", ErrState)

// nextAccount goes on to the next account, which is nil after the last.
func (s *State) nextAccount() error {
	before := s.account
	line, err := s.line()
	switch {
	case err != nil:
		return err
	case line.Account == nil && line.SHA256 == "", line.Account != nil && before != nil && *line.Account <= *before:
		return errStateOrder
	}
	if s.account, s.card, s.tree = line.Account, nil, (tree{}); s.account == nil {
		return nil
	}
	return s.nextCard()
}

// nextCard goes on to the next card of the account.
func (s *State) nextCard() error {
	before := s.card
	line, err := s.line()
	switch {
	case err != nil:
		return err
	case line.End != nil:
		s.card = nil
		return s.endAccount(line.End)
	case line.Card == nil, before != nil && before.key() >= line.Card.key():
		return errStateOrder
	}
	s.card = line.Card
	if s.card.digest, err = ledger.ParseDigest(s.card.Digest); err != nil {
		return fmt.Errorf("%w: card %s: %w", ErrState, s.card.key(), err)
	}
	s.tree.add(s.card.ID, position{s.card.Seq, s.card.digest})
	return nil
}

func (s *State) endAccount(end *stateTotals) error {
	if head := s.tree.sum(""); head.Root.String() != end.Root || head.Cards != end.Cards || head.Transactions != end.Transactions {
		return fmt.Errorf("%w: account %s is not what its cards come to", ErrState, *s.account)
	}
	return nil
}

func (s *standing) key() string { return s.ID.String() }

func (s *standing) balance() ledger.Balance {
	return ledger.Balance{Funds: s.Funds, Drawdown: s.Drawdown, Pending: s.Pending, Reserved: s.Pending}
}
