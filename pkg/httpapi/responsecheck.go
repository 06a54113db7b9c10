package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/labstack/echo/v4"

	"github.com/kortwallet/kort/gen/api"
)

// checkResponse holds an answer back, compares it with the contract, and sends it
// when it matches. One that does not is our own mistake: a 500.
func (o *operation) checkResponse(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		held := &recorder{header: c.Response().Header(), status: http.StatusOK}
		held.record(c, next)
		if err := o.matchResponse(c, held); err != nil {
			return &failure{code: api.ErrorCodeInternal, cause: err}
		}
		c.Response().WriteHeader(held.status)
		_, err := c.Response().Write(held.body.Bytes())
		return err
	}
}

func (o *operation) matchResponse(c echo.Context, held *recorder) error {
	err := openapi3filter.ValidateResponse(c.Request().Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: c.Request(), Route: o.route},
		Status:                 held.status,
		Header:                 held.header,
		Body:                   io.NopCloser(bytes.NewReader(held.body.Bytes())),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err == nil {
		return nil
	}
	// The validator's text quotes the answer, which may carry clear values.
	cause := errors.New("the answer does not match the contract")
	for _, p := range problemsOf(err) {
		cause = errors.Join(cause, errors.New(p.Pointer+" "+p.Reason))
	}
	return cause
}

// recorder holds an answer back.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// record runs a handler whose answer goes into the recorder. A handler that panics
// leaves the real response in its place, for the one who recovers.
func (r *recorder) record(c echo.Context, next echo.HandlerFunc) {
	sent := c.Response()
	defer c.SetResponse(sent)
	c.SetResponse(echo.NewResponse(r, c.Echo()))
	if err := next(c); err != nil {
		c.Error(err)
	}
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) { r.status = status }

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }
