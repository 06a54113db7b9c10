package sandbox

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	api "github.com/kortwallet/kort/gen/sandbox"
)

// GetClock implements the operation get_clock.
func (c *Control) GetClock(_ context.Context, r api.GetClockRequestObject) (api.GetClockResponseObject, error) {
	return api.GetClock200JSONResponse{ClockJSONResponse: shown(c.c.Clocks.Read(r.Aid))}, nil
}

// SetClock implements the operation set_clock.
func (c *Control) SetClock(_ context.Context, r api.SetClockRequestObject) (api.SetClockResponseObject, error) {
	reading, err := c.c.Clocks.Set(r.Aid, r.Body.Now, r.Body.Frozen)
	if err != nil {
		return nil, echo.NewHTTPError(http.StatusBadRequest, err.Error())
	}
	return api.SetClock200JSONResponse{ClockJSONResponse: shown(reading)}, nil
}

// ResetClock implements the operation reset_clock.
func (c *Control) ResetClock(_ context.Context, r api.ResetClockRequestObject) (api.ResetClockResponseObject, error) {
	return api.ResetClock200JSONResponse{ClockJSONResponse: shown(c.c.Clocks.Reset(r.Aid))}, nil
}

// AdvanceClock implements the operation advance_clock.
func (c *Control) AdvanceClock(_ context.Context, r api.AdvanceClockRequestObject) (api.AdvanceClockResponseObject, error) {
	reading, err := c.c.Clocks.Advance(r.Aid, time.Duration(r.Body.Seconds)*time.Second)
	if err != nil {
		return nil, echo.NewHTTPError(http.StatusBadRequest, err.Error())
	}
	return api.AdvanceClock200JSONResponse{ClockJSONResponse: shown(reading)}, nil
}

func shown(r Reading) api.ClockJSONResponse {
	return api.ClockJSONResponse{Now: r.Now.Time(), Frozen: r.Frozen}
}
