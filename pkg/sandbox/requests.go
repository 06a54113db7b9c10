package sandbox

import (
	"context"

	api "github.com/kortwallet/kort/gen/sandbox"
)

// maxLogged bounds the requests of an account that are remembered.
const maxLogged = 10_000

// requestLog has the newest requests. Once it is full, the newest takes the place of the oldest.
type requestLog struct {
	entries []api.LoggedRequest
	oldest  int
}

func (a *account) record(entry api.LoggedRequest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l := &a.log; len(l.entries) < maxLogged {
		l.entries = append(l.entries, entry)
	} else {
		l.entries[l.oldest] = entry
		l.oldest = (l.oldest + 1) % maxLogged
	}
}

// ListRequests implements the operation list_requests.
func (c *Control) ListRequests(_ context.Context, r api.ListRequestsRequestObject) (api.ListRequestsResponseObject, error) {
	a := c.account(r.Aid)
	a.mu.Lock()
	defer a.mu.Unlock()
	found := api.ListRequests200JSONResponse{}
	for i := range a.log.entries {
		entry := &a.log.entries[(a.log.oldest+i)%len(a.log.entries)]
		if matches(r.Params.Operation, entry.Operation) && matches(r.Params.RefID, entry.RefID) {
			found = append(found, *entry)
		}
	}
	return found, nil
}

// matches tells whether a value is the one that was asked for, if one was.
func matches(asked, value *string) bool { return asked == nil || value != nil && *value == *asked }

// ClearRequests implements the operation clear_requests.
func (c *Control) ClearRequests(_ context.Context, r api.ClearRequestsRequestObject) (api.ClearRequestsResponseObject, error) {
	a := c.account(r.Aid)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log = requestLog{}
	return api.ClearRequests204Response{}, nil
}
