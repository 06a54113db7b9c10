package proof

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// owner is an attack to which clusters of pgtest belong: what fails there ends the attack.
type owner struct {
	ctx      context.Context //nolint:containedctx // as that of a test
	releases []func()
	failures []error
}

// ownerFailed is thrown where a test would end.
type ownerFailed struct{ error }

// withOwner lends an owner to something, and cleans up.
func withOwner(ctx context.Context, use func(*owner) error) (err error) {
	o := &owner{ctx: ctx}
	defer func() {
		o.ctx = context.WithoutCancel(ctx) // cleaning up goes on
		for _, release := range slices.Backward(o.releases) {
			release()
		}
		err = errors.Join(append(o.failures, err)...)
	}()
	defer func() {
		thrown := recover()
		failed, ours := thrown.(ownerFailed)
		if thrown != nil && !ours {
			panic(thrown)
		}
		if ours {
			err = failed.error
		}
	}()
	return use(o)
}

// Helper does nothing.
func (o *owner) Helper() {}

// Context is that of the attack.
func (o *owner) Context() context.Context { return o.ctx }

// Cleanup notes what to do in the end.
func (o *owner) Cleanup(release func()) { o.releases = append(o.releases, release) }

// Errorf notes what has gone wrong.
func (o *owner) Errorf(format string, args ...any) {
	o.failures = append(o.failures, fmt.Errorf(format, args...))
}

// Fatal ends the attack.
func (o *owner) Fatal(args ...any) { panic(ownerFailed{errors.New(fmt.Sprint(args...))}) }

// Fatalf ends the attack.
func (o *owner) Fatalf(format string, args ...any) { panic(ownerFailed{fmt.Errorf(format, args...)}) }

// Skip ends the attack too: there is no proof without a database.
func (o *owner) Skip(args ...any) { o.Fatal(args...) }
