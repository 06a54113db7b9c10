package kortest_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/kortwallet/kort/gen/client"
	"github.com/kortwallet/kort/pkg/kortest"
)

func create(t *testing.T, a *kortest.Account, id string) {
	t.Helper()
	made, err := a.Client().AidCardsPostWithResponse(t.Context(), a.ID, client.CardCreate{CardID: id, Amount: 500, Currency: "NOK"})
	if err != nil || made.StatusCode() != http.StatusOK {
		t.Fatalf("create a card: %v %+v", err, made)
	}
}

func sell(t *testing.T, a *kortest.Account, ref string) (*client.AidCardsTransactionsPostResponse, error) {
	t.Helper()
	card, kind := "gift", client.TransactionCreateTypeDrawdown
	return a.Client().AidCardsTransactionsPostWithResponse(t.Context(), a.ID, client.TransactionCreate{
		RefID: ref, CardID: &card, Amount: 100, Currency: "NOK", Type: &kind,
	})
}

func balance(t *testing.T, a *kortest.Account) int64 {
	t.Helper()
	card, err := a.Client().AidCardsCardidGetWithResponse(t.Context(), a.ID, "gift")
	if err != nil || card.JSON200 == nil {
		t.Fatalf("get a card: %v %+v", err, card)
	}
	return card.JSON200.AmountBalance
}

// All that an account can be asked for reaches the server.
func TestAccount(t *testing.T) {
	t.Parallel()
	sandbox := kortest.Start(t)
	a, other := sandbox.NewAccount(), sandbox.NewAccount()
	if a.ID == sandbox.ID || a.ID == other.ID {
		t.Fatalf("accounts %s, %s, %s", sandbox.ID, a.ID, other.ID)
	}
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	a.Freeze(at)
	a.Advance(-time.Hour)
	if now := a.Now(); !now.Equal(at.Add(-time.Hour)) {
		t.Errorf("the clock shows %s", now)
	}
	a.ShowRealTime()
	if now := a.Now(); time.Since(now) > time.Hour {
		t.Errorf("the clock shows %s", now)
	}

	create(t, a, "gift")
	a.Snapshot("full")
	a.ClearRequests()
	const sales = "aid_cards_transactions_post"
	a.Fault(kortest.Fails(sales, "overloaded", 1))
	if answer, err := sell(t, a, "r"); err != nil || answer.StatusCode() != http.StatusServiceUnavailable {
		t.Errorf("a fault: %v %+v", err, answer)
	}
	a.Fault(kortest.ResetConnection(sales))
	if answer, err := sell(t, a, "r"); err == nil {
		t.Errorf("after a reset came %s", answer.Body)
	}
	a.Fault(kortest.LostAnswer(sales))
	if answer, err := sell(t, a, "r"); err == nil {
		t.Errorf("a lost answer is %s", answer.Body)
	}
	if got := balance(t, a); got != 400 {
		t.Errorf("the balance is %d", got)
	}
	a.Fault(kortest.Fails(sales, "internal", 1))
	a.ClearFaults()
	if answer, err := sell(t, a, "r"); err != nil || answer.JSON200 == nil {
		t.Errorf("the repetition: %v %+v", err, answer)
	}
	if all := a.Requests(); len(all) != 5 || all[4].Replayed == nil || !*all[4].Replayed {
		t.Errorf("the log is %+v", all)
	}
	if till := a.TokenFor("till-1", "write:wallets:/transactions"); till == a.Token || till == "" {
		t.Errorf("the till has the token %s", till)
	}
	a.Restore("full")
	if got := balance(t, a); got != 500 {
		t.Errorf("the balance is %d", got)
	}
	a.Reset()
	a.Seed(kortest.Seed{Cards: []kortest.SeedCard{{
		Card:   json.RawMessage(`{"card_id":"gift","amount":7,"currency":"NOK"}`),
		Tokens: &[]kortest.SeedToken{{Value: "2000000000017"}},
	}}})
	found, err := a.Client().AidCardsTokenPostWithResponse(t.Context(), a.ID, client.TokenCode{Token: "2000000000017"})
	if err != nil || found.JSON200 == nil || found.JSON200.AmountBalance != 7 {
		t.Errorf("found %v %+v", err, found)
	}
}

// recorder is a test that notes its failure instead of failing.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.said = strings.TrimSpace(format)
	panic(r)
}

// A step that fails ends the test.
func TestFailures(t *testing.T) {
	t.Parallel()
	sandbox := kortest.Start(t)
	for name, step := range map[string]func(testing.TB){
		"a program that is not there":   func(t testing.TB) { kortest.Start(t, kortest.Binary("/nowhere/kort")) },
		"a program that is another one": func(t testing.TB) { kortest.Start(t, kortest.Binary("/bin/false")) },
	} {
		if said := failing(t, step); !strings.HasPrefix(said, "kortest: ") {
			t.Errorf("%s: the test says %q", name, said)
		}
	}
	if said := failing(t, func(other testing.TB) {
		kortest.On(other, sandbox).Restore("nothing")
	}); !strings.HasPrefix(said, "kortest: ") {
		t.Errorf("a snapshot that is not there: the test says %q", said)
	}
}

func failing(t *testing.T, step func(testing.TB)) (said string) {
	t.Helper()
	r := &recorder{TB: t}
	defer func() {
		if recovered := recover(); recovered != r {
			panic(recovered)
		}
		said = r.said
	}()
	step(r)
	t.Error("the step works")
	panic(r)
}

const envOrphan = "KORTEST_ORPHAN"

// A sandbox is gone after its test, also when the test's process ends without cleaning up.
func TestNothingIsLeftRunning(t *testing.T) {
	if os.Getenv(envOrphan) != "" {
		fmt.Println(kortest.Start(t).URL)
		os.Exit(3)
	}
	test := exec.Command(os.Args[0], "-test.run=^TestNothingIsLeftRunning$")
	test.Env = append(os.Environ(), envOrphan+"=1")
	stdout, err := test.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := test.Start(); err != nil {
		t.Fatal(err)
	}
	url, err := bufio.NewReader(stdout).ReadString('\n')
	_ = test.Wait() // it exits with 3
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get(strings.TrimSpace(url) + "/healthz")
		if err != nil {
			return
		}
		_ = answer.Body.Close()
		if time.Now().After(deadline) {
			t.Fatalf("a sandbox is left at %s", url)
		}
	}
}
