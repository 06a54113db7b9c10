package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	api "github.com/kortwallet/kort/gen/sandbox"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// alone does something to an account while nobody else uses it.
func (c *Control) alone(number string, do func() error) error {
	a := c.account(number)
	a.use.Lock()
	defer a.use.Unlock()
	return do()
}

// ResetAccount implements the operation reset_account.
func (c *Control) ResetAccount(ctx context.Context, r api.ResetAccountRequestObject) (api.ResetAccountResponseObject, error) {
	err := c.alone(r.Aid, func() error {
		if err := c.c.Testbed.Clear(ctx, r.Aid); err != nil {
			return err
		}
		c.c.Clocks.Reset(r.Aid)
		c.account(r.Aid).forget()
		return nil
	})
	return api.ResetAccount204Response{}, err
}

// TakeSnapshot implements the operation take_snapshot.
func (c *Control) TakeSnapshot(ctx context.Context, r api.TakeSnapshotRequestObject) (api.TakeSnapshotResponseObject, error) {
	s := repository.Snapshot{Name: r.Name, TakenAt: ledger.MicrosOf(time.Now())}
	err := c.alone(r.Aid, func() error { return c.save(ctx, r.Aid, s) })
	return api.TakeSnapshot200JSONResponse(snapshotOf(s)), err
}

// save puts aside what an account has, with what its clock shows.
func (c *Control) save(ctx context.Context, account string, s repository.Snapshot) error {
	reading, err := json.Marshal(c.c.Clocks.Read(account))
	if err != nil {
		return fmt.Errorf("encode what the clock shows: %w", err)
	}
	s.Note = string(reading)
	return c.c.Testbed.Save(ctx, account, s)
}

// RestoreSnapshot implements the operation restore_snapshot.
func (c *Control) RestoreSnapshot(ctx context.Context, r api.RestoreSnapshotRequestObject) (api.RestoreSnapshotResponseObject, error) {
	err := c.alone(r.Aid, func() error { return c.restore(ctx, r.Aid, r.Name) })
	return api.RestoreSnapshot204Response{}, missing(err)
}

func (c *Control) restore(ctx context.Context, account, name string) error {
	s, err := c.c.Testbed.Restore(ctx, account, name)
	if err != nil {
		return err
	}
	var reading Reading
	if err := json.Unmarshal([]byte(s.Note), &reading); err != nil {
		return fmt.Errorf("decode what the clock showed: %w", err)
	}
	if reading.Real {
		c.c.Clocks.Reset(account)
		return nil
	}
	now := reading.Now.Time()
	_, err = c.c.Clocks.Set(account, &now, &reading.Frozen)
	return err
}

// DropSnapshot implements the operation drop_snapshot.
func (c *Control) DropSnapshot(ctx context.Context, r api.DropSnapshotRequestObject) (api.DropSnapshotResponseObject, error) {
	return api.DropSnapshot204Response{}, missing(c.c.Testbed.Drop(ctx, r.Aid, r.Name))
}

// missing makes a 404 of a snapshot that is not there.
func missing(err error) error {
	if errors.Is(err, repository.ErrNoSnapshot) {
		return echo.NewHTTPError(http.StatusNotFound, "the account has no snapshot of this name")
	}
	return err
}

// ListSnapshots implements the operation list_snapshots.
func (c *Control) ListSnapshots(ctx context.Context, r api.ListSnapshotsRequestObject) (api.ListSnapshotsResponseObject, error) {
	all, err := c.c.Testbed.Snapshots(ctx, r.Aid)
	if err != nil {
		return nil, err
	}
	shown := api.ListSnapshots200JSONResponse{}
	for _, s := range all {
		if s.Name != unseeded {
			shown = append(shown, snapshotOf(s))
		}
	}
	return shown, nil
}

func snapshotOf(s repository.Snapshot) api.Snapshot {
	return api.Snapshot{Name: s.Name, TakenAt: s.TakenAt.Time()}
}
