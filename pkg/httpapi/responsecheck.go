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
		sent := c.Response()
		held := &recorder{header: sent.Header(), status: http.StatusOK}
		c.SetResponse(echo.NewResponse(held, c.Echo()))
		if err := next(c); err != nil {
			c.Error(err)
		}
		c.SetResponse(sent)
		if err := o.matchResponse(c, held); err != nil {
			return &failure{code: api.ErrorCodeInternal, cause: err}
		}
		sent.WriteHeader(held.status)
		_, err := sent.Write(held.body.Bytes())
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

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) { r.status = status }

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }
