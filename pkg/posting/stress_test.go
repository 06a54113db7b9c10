package posting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

const (
	stressClients = 64
	// stressFunds is too little for everybody, so that money runs out.
	stressFunds = 20_000
	// sharedRefs is how many ref_ids all clients have in common.
	sharedRefs = 40
)

func stressSteps() int {
	if testing.Short() || repotest.RaceDetector {
		return 12
	}
	return 60
}

// acknowledged is an answer that a client got.
type acknowledged struct {
	Account  string
	Txn      ledger.Transaction
	Replayed bool
	Own      uuid.UUID // the id that the client's operation had
}

// crowd is many clients on the same card of some accounts.
type crowd struct {
	poster   *Poster
	accounts []string
	prefix   string // of ref_ids that only this crowd uses

	mu    sync.Mutex
	holds map[string][]uuid.UUID
	acks  []acknowledged
	errs  []error
}

// run lets the clients loose and waits for them.
func (c *crowd) run(ctx context.Context, clients, steps int, seed uint64) {
	c.holds = map[string][]uuid.UUID{}
	var running sync.WaitGroup
	for n := range clients {
		running.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(n))) //nolint:gosec // a race needs no secrets
			account := c.accounts[n%len(c.accounts)]
			for step := range steps {
				c.step(ctx, r, account, fmt.Sprintf("%s-%d-%d", c.prefix, n, step))
			}
		})
	}
	running.Wait()
}

func (c *crowd) step(ctx context.Context, r *rand.Rand, account, ref string) {
	op := c.operation(r, account, ref)
	result, err := c.poster.Submit(ctx, account, op)
	c.mu.Lock()
	defer c.mu.Unlock()
	var refusal *ledger.Refusal
	switch {
	case errors.As(err, &refusal):
		if !expectedRefusals[refusal.Code] {
			c.errs = append(c.errs, err)
		}
	case err != nil:
		c.errs = append(c.errs, err)
	default:
		c.acks = append(c.acks, acknowledged{account, result.Txn, result.Replayed, op.ID})
		if result.Txn.Type == ledger.TypePending {
			c.holds[account] = append(c.holds[account], result.Txn.ID)
		}
	}
}

var expectedRefusals = map[ledger.Code]bool{
	ledger.CodeInsufficientFunds: true, ledger.CodeTransactionNotHeld: true,
	ledger.CodeAmountExceedsReserve: true, ledger.CodeRefIDConflict: true,
}

// operation makes up what a client asks for next.
func (c *crowd) operation(r *rand.Rand, account, ref string) *ledger.Transact {
	op := &ledger.Transact{
		ID: uuid.Must(uuid.NewV7()), CardID: "card", RefID: ref, Amount: int64(r.IntN(100)), AmountGiven: true,
		Currency: ledger.NOK, By: "clerk",
	}
	switch n := r.IntN(20); {
	case n < 5: // a request that others send as well, sometimes with another amount
		shared := r.IntN(sharedRefs)
		op.Action, op.RefID, op.Amount = ledger.ActionDrawdown, fmt.Sprint("shared-", shared), int64(shared)
		if n == 0 {
			op.Amount++
		}
	case n < 8:
		op.Action = ledger.ActionDrawdown
	case n < 9:
		op.Action = ledger.ActionFund
	case n < 13:
		op.Action = ledger.ActionPending
	default:
		c.settle(r, account, op, n)
	}
	return op
}

// settle aims at one of the newest holds, so that several clients meet at it.
func (c *crowd) settle(r *rand.Rand, account string, op *ledger.Transact, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	op.Action = ledger.ActionPending
	if holds := c.holds[account]; len(holds) > 0 {
		op.Action, op.CardID, op.Currency = ledger.ActionCapture, "", ""
		op.Parent = holds[len(holds)-1-r.IntN(min(len(holds), 5))]
		if n >= 18 {
			op.Action = ledger.ActionVoid
		}
		if n >= 16 {
			op.Amount, op.AmountGiven = 0, false
		}
	}
}

// checkStress compares what was acknowledged with what is stored, and audits.
func checkStress(t *testing.T, b *bench, accounts []string, acks []acknowledged) {
	t.Helper()
	for _, account := range accounts {
		auditAccount(t, b.store, b.raw, account)
		card, err := b.store.Card(t.Context(), account, "card")
		if err != nil {
			t.Fatal(err)
		}
		rows := map[uuid.UUID]ledger.Transaction{}
		for int64(len(rows)) < card.Seq {
			txns, err := b.store.Transactions(t.Context(), account, card.ID, int64(len(rows)), 1000)
			if err != nil || len(txns) == 0 {
				t.Fatalf("%d of %d transactions, %v", len(rows), card.Seq, err)
			}
			for _, txn := range txns {
				rows[txn.ID] = txn
			}
		}
		checkAcknowledged(t, account, rows, acks)
	}
}

// checkAcknowledged makes sure that each answer is a row, that each row but the
// opening is the answer that its own client got first, and that all others with its
// ref_id got it as a replay.
func checkAcknowledged(t *testing.T, account string, rows map[uuid.UUID]ledger.Transaction, acks []acknowledged) {
	t.Helper()
	fresh, replays := map[uuid.UUID]int{}, 0
	for _, ack := range acks {
		if ack.Account != account {
			continue
		}
		if row, found := rows[ack.Txn.ID]; !found || row != ack.Txn {
			t.Fatalf("an acknowledged transaction is stored as %+v, the answer was %+v", row, ack.Txn)
		}
		if ack.Replayed == (ack.Own == ack.Txn.ID) {
			t.Errorf("the answer to %s is %s, replayed: %t", ack.Own, ack.Txn.ID, ack.Replayed)
		}
		if ack.Replayed {
			replays++
		} else {
			fresh[ack.Txn.ID]++
		}
	}
	for id, row := range rows {
		want := 1
		if row.Address == ledger.ByOpening {
			want = 0
		}
		if fresh[id] != want {
			t.Errorf("%s %s was acknowledged %d times, want %d", row.Type, id, fresh[id], want)
		}
	}
	if replays == 0 || len(rows) < stressClients/4 {
		t.Errorf("%d rows and %d replays: this was no race", len(rows), replays)
	}
}

func TestManyClientsOnOneCard(t *testing.T) {
	t.Parallel()
	for name, accounts := range map[string][]string{
		"one account":   {"T00000001"},
		"four accounts": {"T00000001", "T00000002", "T00000003", "T00000004"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, Options{MaxBatch: 40}, func(t *testing.T, b *bench) {
				openCards(t, b, accounts)
				c := &crowd{poster: b.Poster, accounts: accounts, prefix: "a"}
				c.run(t.Context(), stressClients, stressSteps(), 1)
				if err := errors.Join(c.errs...); err != nil {
					t.Fatal(err)
				}
				checkStress(t, b, accounts, c.acks)
			})
		})
	}
}

func openCards(t *testing.T, b *bench, accounts []string) {
	t.Helper()
	for _, account := range accounts {
		if _, err := b.Submit(t.Context(), account, creation(t, "card", stressFunds)); err != nil {
			t.Fatal(err)
		}
	}
}

// The environment of a server process: its database, where it leaves its answers,
// and what its clients call themselves.
const (
	envProcessURL    = "KORT_TEST_PROCESS_URL"
	envProcessAnswer = "KORT_TEST_PROCESS_ANSWERS"
	envProcessName   = "KORT_TEST_PROCESS_NAME"
)

// Two server processes on one PostgreSQL, each with half of the clients, all on the
// same card.
func TestTwoServerProcesses(t *testing.T) {
	t.Parallel()
	o := repotest.Postgres(t)
	b := newBench(t, repotest.Migrated(t, o), Options{})
	accounts := []string{repotest.Account}
	openCards(t, b, accounts)
	dir := t.TempDir()
	var processes []*serverProcess
	for _, name := range []string{"left", "right"} {
		processes = append(processes, startProcess(t, o.PostgresURL, dir, name))
	}
	for _, p := range processes {
		p.awaitReady(t)
	}
	for _, p := range processes { // both are connected: go
		if err := p.stdin.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var acks []acknowledged
	for _, p := range processes {
		acks = append(acks, p.answers(t)...)
	}
	checkStress(t, b, accounts, acks)
}

// serverProcess is this test binary, run again as a server with clients.
type serverProcess struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	file   string
	output *lockedBuffer
}

func startProcess(t *testing.T, url, dir, name string) *serverProcess {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	p := &serverProcess{
		cmd:    exec.CommandContext(ctx, os.Args[0], "-test.run=^TestServerProcess$", "-test.v"), //nolint:gosec // ourselves
		file:   filepath.Join(dir, name),
		output: &lockedBuffer{},
	}
	p.cmd.Env = append(os.Environ(), envProcessURL+"="+url, envProcessAnswer+"="+p.file, envProcessName+"="+name)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *serverProcess) awaitReady(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(p.file + ".ready"); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the process never got ready:\n%s", p.output)
		}
	}
}

func (p *serverProcess) answers(t *testing.T) []acknowledged {
	t.Helper()
	if err := p.cmd.Wait(); err != nil {
		t.Fatalf("the process: %v\n%s", err, p.output)
	}
	content, err := os.ReadFile(p.file)
	if err != nil {
		t.Fatal(err)
	}
	var acks []acknowledged
	if err := json.Unmarshal(content, &acks); err != nil {
		t.Fatal(err)
	}
	return acks
}

// TestServerProcess is what such a process runs; on its own it has nothing to do.
func TestServerProcess(t *testing.T) {
	url := os.Getenv(envProcessURL)
	if url == "" {
		return
	}
	store := repotest.Open(t, repository.Options{PostgresURL: url})
	c := &crowd{poster: newPoster(t, store, Options{}), accounts: []string{repotest.Account}, prefix: os.Getenv(envProcessName)}
	file := os.Getenv(envProcessAnswer)
	if err := os.WriteFile(file+".ready", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil { // ends when the race begins
		t.Fatal(err)
	}
	c.run(t.Context(), stressClients/2, stressSteps(), uint64(len(c.prefix)))
	if err := errors.Join(c.errs...); err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(c.acks)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// lockedBuffer collects the output of a process while somebody looks at it.
type lockedBuffer struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	return len(p), nil
}

// String implements fmt.Stringer.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}
