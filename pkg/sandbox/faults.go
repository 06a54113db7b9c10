package sandbox

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	cards "github.com/kortwallet/kort/gen/api"
	api "github.com/kortwallet/kort/gen/sandbox"
)

// maxFaults bounds the faults of an account that are in force.
const maxFaults = 1000

// fault is one that is in force.
type fault struct {
	api.Fault
	struck int
	left   int // how often it will still strike; endless where there is no end
}

// endless is more often than anything strikes.
const endless = -1

// strike finds the fault that a request for an operation meets, and counts it. There may be none.
func (a *account) strike(operation *string) *api.Fault {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, f := range a.faults {
		if f.Operation != nil && *f.Operation != given(operation) {
			continue
		}
		if f.Probability != nil && rand.Float32() >= *f.Probability { //nolint:gosec // it decides about a test, and no secret
			continue
		}
		f.struck++
		if f.left != endless {
			f.left--
		}
		if f.left == 0 {
			a.faults = slices.Delete(a.faults, i, i+1)
		}
		return &f.Fault
	}
	return nil
}

// AddFault implements the operation add_fault.
func (c *Control) AddFault(_ context.Context, r api.AddFaultRequestObject) (api.AddFaultResponseObject, error) {
	if reason := c.wrong(r.Body); reason != "" {
		return nil, echo.NewHTTPError(http.StatusBadRequest, reason)
	}
	f := &fault{Fault: *r.Body, left: 1}
	switch {
	case r.Body.Times != nil:
		f.left = *r.Body.Times
	case r.Body.Probability != nil:
		f.left = endless
	}
	a := c.account(r.Aid)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.faults) == maxFaults {
		return nil, echo.NewHTTPError(http.StatusBadRequest, "the account has a thousand faults already")
	}
	a.faults = append(a.faults, f)
	return api.AddFault201JSONResponse(f.state()), nil
}

// wrong says what is wrong with a fault, and is empty if nothing is.
func (c *Control) wrong(f *api.Fault) string {
	switch {
	case f.LatencyMs == nil && f.Code == nil && f.Connection == nil:
		return "body: one of latency_ms, code and connection is needed: what is to go wrong"
	case f.Code != nil && f.Connection != nil:
		return "/connection: cannot stand beside code, as there would be no answer with it"
	case f.Operation != nil && !c.operations.has(*f.Operation):
		return "/operation: is no operation id of the cards API"
	case f.Code != nil && !cards.ErrorCode(*f.Code).Valid():
		return "/code: is no error code of the cards API"
	}
	return ""
}

func (f *fault) state() api.FaultState {
	state := api.FaultState{Fault: f.Fault, Struck: f.struck}
	if f.left != endless {
		state.Left = new(f.left)
	}
	return state
}

// ListFaults implements the operation list_faults.
func (c *Control) ListFaults(_ context.Context, r api.ListFaultsRequestObject) (api.ListFaultsResponseObject, error) {
	a := c.account(r.Aid)
	a.mu.Lock()
	defer a.mu.Unlock()
	all := api.ListFaults200JSONResponse{}
	for _, f := range a.faults {
		all = append(all, f.state())
	}
	return all, nil
}

// ClearFaults implements the operation clear_faults.
func (c *Control) ClearFaults(_ context.Context, r api.ClearFaultsRequestObject) (api.ClearFaultsResponseObject, error) {
	a := c.account(r.Aid)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = nil
	return api.ClearFaults204Response{}, nil
}
