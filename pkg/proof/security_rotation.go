package proof

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
)

// rotationGrace is what a busy machine may take on top of the interval in which the key
// file is looked at.
const rotationGrace = 4 * time.Second

// rotation exchanges the issuer's key while the servers run: first both, then the new
// one alone.
func (i *intruder) rotation(ctx context.Context) error {
	second, err := newEd("ed-2")
	if err != nil {
		return err
	}
	retired := i.signers.ed
	before, err := retired.token(nil, nil)
	if err != nil {
		return err
	}
	after, err := second.token(nil, nil)
	if err != nil {
		return err
	}
	i.secrets.keep("an access token", before)
	i.secrets.keep("an access token", after)
	if err := i.publish(append(i.signers.all(), second)...); err != nil {
		return err
	}
	for n := range i.servers {
		if _, err := i.awaitStatus(ctx, n, after, http.StatusOK); err != nil {
			return err
		}
		if _, err := i.awaitStatus(ctx, n, before, http.StatusOK); err != nil { // and the server remembers it now
			return err
		}
	}
	i.tampered.Add(1)
	if err := i.publish(i.signers.rsa, i.signers.ec, second); err != nil {
		return err
	}
	i.signers.ed = second
	var longest time.Duration
	for n := range i.servers {
		took, err := i.awaitStatus(ctx, n, before, http.StatusUnauthorized)
		if err != nil {
			return err
		}
		longest = max(longest, took)
		if _, err := i.awaitStatus(ctx, n, after, http.StatusOK); err != nil {
			return err
		}
		fresh, err := retired.token(nil, members{"sub": "late"})
		if err != nil {
			return err
		}
		if _, err := i.awaitStatus(ctx, n, fresh, http.StatusUnauthorized); err != nil {
			return err
		}
	}
	i.note("a withdrawn key was refused after %d ms", longest.Milliseconds())
	return nil
}

// awaitStatus asks until a token is answered as it should be. Longer than the interval of
// the key file it must not take.
func (i *intruder) awaitStatus(ctx context.Context, server int, token string, want int) (time.Duration, error) {
	w := i.wire(server)
	defer w.close()
	begun := time.Now()
	for {
		got, err := i.ask(ctx, w, get(victim, "/cards").by(token))
		if err != nil {
			return 0, fmt.Errorf("wait for %d: %w", want, err)
		}
		took := time.Since(begun)
		if got.status == want {
			return took, nil
		}
		if took > auth.DefaultFileInterval+rotationGrace {
			i.violate("%s after the keys were exchanged a token is answered with %d instead of %d", took, got.status, want)
			return took, nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return took, err
		}
	}
}
