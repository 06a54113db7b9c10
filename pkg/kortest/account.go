package kortest

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/kortwallet/kort/gen/client"
	control "github.com/kortwallet/kort/gen/sandboxclient"
)

// openapi/sandbox.yaml says what each field of these means.
type (
	// Seed has cards for an account.
	Seed = control.Seed
	// SeedCard is a card with chosen tokens and a chosen PIN.
	SeedCard = control.SeedCard
	// SeedToken is a token of a chosen value.
	SeedToken = control.SeedToken
	// Fault lets requests go wrong.
	Fault = control.Fault
	// Request is one that the account has had, and what became of it.
	Request = control.LoggedRequest
)

// Account is a test account of a sandbox. Its methods are safe for concurrent use.
type Account struct {
	// URL is where the API is, without /v1.
	URL string
	// ID is the account's number, T and eight digits.
	ID string
	// Token is an access token with all rights in the account, valid for a day of real time.
	Token string

	t       testing.TB
	control *control.ClientWithResponses
}

// Client is a client of the cards API that acts in the account.
func (a *Account) Client() *client.ClientWithResponses {
	a.t.Helper()
	c, err := client.NewClientWithResponses(a.URL+"/v1", client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+a.Token)
		return nil
	}))
	if err != nil {
		a.t.Fatalf("kortest: make a client: %v", err)
	}
	return c
}

// TokenFor makes an access token with chosen rights: that of a till (write:wallets:/transactions), or with user:wallets that of the
// customer who is its subject. It is valid for a day of real time.
func (a *Account) TokenFor(subject string, scopes ...string) string {
	a.t.Helper()
	answer, err := a.control.CreateAccessTokenWithResponse(a.t.Context(), a.ID, control.AccessTokenWish{Subject: subject, Scopes: scopes})
	must(a.t, "make a token", answer, err)
	return answer.JSON201.Token
}

// Now is what the clock of the account shows.
func (a *Account) Now() time.Time {
	a.t.Helper()
	answer, err := a.control.GetClockWithResponse(a.t.Context(), a.ID)
	must(a.t, "read the clock", answer, err)
	return answer.JSON200.Now
}

// Freeze sets the clock to a moment and lets it stand still.
func (a *Account) Freeze(at time.Time) {
	a.t.Helper()
	frozen := true
	answer, err := a.control.SetClockWithResponse(a.t.Context(), a.ID, control.ClockSetting{Now: &at, Frozen: &frozen})
	must(a.t, "freeze the clock", answer, err)
}

// Advance moves the clock by whole seconds, backwards if they are negative.
func (a *Account) Advance(by time.Duration) {
	a.t.Helper()
	answer, err := a.control.AdvanceClockWithResponse(a.t.Context(), a.ID, control.ClockMove{Seconds: int64(by / time.Second)})
	must(a.t, "advance the clock", answer, err)
}

// ShowRealTime lets the clock show the real time again.
func (a *Account) ShowRealTime() {
	a.t.Helper()
	answer, err := a.control.ResetClockWithResponse(a.t.Context(), a.ID)
	must(a.t, "reset the clock", answer, err)
}

// Reset empties the account.
func (a *Account) Reset() {
	a.t.Helper()
	answer, err := a.control.ResetAccountWithResponse(a.t.Context(), a.ID)
	must(a.t, "reset the account", answer, err)
}

// Seed adds cards with chosen tokens and PINs.
func (a *Account) Seed(seed Seed) {
	a.t.Helper()
	answer, err := a.control.SeedAccountWithResponse(a.t.Context(), a.ID, seed)
	must(a.t, "seed the account", answer, err)
}

// Snapshot keeps what the account has under a name.
func (a *Account) Snapshot(name string) {
	a.t.Helper()
	answer, err := a.control.TakeSnapshotWithResponse(a.t.Context(), a.ID, name)
	must(a.t, "take a snapshot", answer, err)
}

// Restore brings the account back to a snapshot.
func (a *Account) Restore(name string) {
	a.t.Helper()
	answer, err := a.control.RestoreSnapshotWithResponse(a.t.Context(), a.ID, name)
	must(a.t, "restore a snapshot", answer, err)
}

// Fault lets requests go wrong from now on.
func (a *Account) Fault(fault Fault) {
	a.t.Helper()
	answer, err := a.control.AddFaultWithResponse(a.t.Context(), a.ID, fault)
	must(a.t, "add a fault", answer, err)
}

// ClearFaults ends all faults.
func (a *Account) ClearFaults() {
	a.t.Helper()
	answer, err := a.control.ClearFaultsWithResponse(a.t.Context(), a.ID)
	must(a.t, "clear the faults", answer, err)
}

// Requests are those that the account has had since the log was last cleared, oldest first.
func (a *Account) Requests() []Request {
	a.t.Helper()
	answer, err := a.control.ListRequestsWithResponse(a.t.Context(), a.ID, &control.ListRequestsParams{})
	must(a.t, "list the requests", answer, err)
	return *answer.JSON200
}

// ClearRequests empties the log.
func (a *Account) ClearRequests() {
	a.t.Helper()
	answer, err := a.control.ClearRequestsWithResponse(a.t.Context(), a.ID)
	must(a.t, "clear the log", answer, err)
}

// LostAnswer is the fault of one request for an operation that is carried out and not answered.
func LostAnswer(operation string) Fault {
	lost := control.ConnectionFaultLostAnswer
	return Fault{Operation: &operation, Connection: &lost}
}

// ResetConnection is the fault of one request for an operation whose connection is reset before anything happens.
func ResetConnection(operation string) Fault {
	reset := control.ConnectionFaultReset
	return Fault{Operation: &operation, Connection: &reset}
}

// Fails is the fault of so many requests for an operation that are answered with an error code.
func Fails(operation, code string, times int) Fault {
	return Fault{Operation: &operation, Code: &code, Times: &times}
}

// must ends the test unless a step has worked.
func must(t testing.TB, step string, answer interface {
	StatusCode() int
	GetBody() []byte
}, err error,
) {
	t.Helper()
	if err != nil {
		t.Fatalf("kortest: %s: %v", step, err)
	}
	if answer.StatusCode() >= http.StatusMultipleChoices {
		t.Fatalf("kortest: %s: %d %s", step, answer.StatusCode(), answer.GetBody())
	}
}
