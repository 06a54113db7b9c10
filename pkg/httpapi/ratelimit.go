package httpapi

import (
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"github.com/kortwallet/kort/gen/api"
)

const (
	// maxRateBuckets bounds how many principals are remembered.
	maxRateBuckets = 10_000
	// rateIdle is after how long a principal's bucket is full again in any case and
	// may be forgotten.
	rateIdle = time.Minute
)

// rateLimits holds a token bucket per principal and account. A nil *rateLimits does not limit.
type rateLimits struct {
	rate  rate.Limit
	burst int

	mu      sync.Mutex
	buckets map[rateKey]*bucket
}

// rateKey is what a bucket belongs to. The account is in it because a customer's subject
// is the customer's id, and two shops may have the same one.
type rateKey struct{ subject, account string }

type bucket struct {
	limiter *rate.Limiter
	used    time.Time
}

func newRateLimits(perSecond float64, burst int) *rateLimits {
	if perSecond <= 0 {
		return nil
	}
	return &rateLimits{rate: rate.Limit(perSecond), burst: max(burst, 1), buckets: map[rateKey]*bucket{}}
}

// limit refuses a principal who is too fast, and says when to come back.
func (l *rateLimits) limit(c echo.Context) error {
	if l == nil {
		return nil
	}
	account, err := pathValue(c, c.Param("aid"))
	if err != nil {
		return fail(api.ErrorCodeForbidden) // as for any path that names no account
	}
	reservation := l.bucket(rateKey{principalOf(c.Request().Context()).Subject, account}).Reserve()
	if wait := reservation.Delay(); wait > 0 {
		reservation.Cancel()
		return &failure{code: api.ErrorCodeRateLimited, retryAfter: wait}
	}
	return nil
}

func (l *rateLimits) bucket(key rateKey) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	b := l.buckets[key]
	if b == nil {
		if len(l.buckets) >= maxRateBuckets {
			l.forget(now)
		}
		b = &bucket{limiter: rate.NewLimiter(l.rate, l.burst)}
		l.buckets[key] = b
	}
	b.used = now
	return b.limiter
}

// forget drops idle buckets; when all are in use, all, which is generous for a moment.
func (l *rateLimits) forget(now time.Time) {
	for key, b := range l.buckets {
		if now.Sub(b.used) > rateIdle {
			delete(l.buckets, key)
		}
	}
	if len(l.buckets) >= maxRateBuckets {
		clear(l.buckets)
	}
}
