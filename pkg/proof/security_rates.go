package proof

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// The limit that a server of its own is started with.
const (
	ratePerSecond = 1
	rateBurst     = 5
	rateRequests  = 60
)

func rateFlags() []string {
	return []string{"--rate-limit", strconv.Itoa(ratePerSecond), "--rate-burst", strconv.Itoa(rateBurst)}
}

// rates asks more than a principal may, and looks at what that means for others. That
// nobody limits rates unless told to, every other attack sees.
func (i *intruder) rates(ctx context.Context) error {
	w := i.wire(0)
	defer w.close()
	greedy, err := i.mint(victim, "greedy")
	if err != nil {
		return err
	}
	begun := time.Now()
	answered := 0
	for range rateRequests {
		i.tampered.Add(1)
		got, err := i.ask(ctx, w, get(victim, "/cards").by(greedy))
		if err != nil {
			return err
		}
		switch {
		case got.status == http.StatusOK:
			answered++
		case got.code() != "rate_limited" || got.status != http.StatusTooManyRequests:
			i.violate("too many requests got %d %s", got.status, shorten(string(got.body)))
		}
	}
	if most := rateBurst + 1 + int(time.Since(begun).Seconds()*ratePerSecond); answered < rateBurst || answered > most {
		i.violate("of %d requests %d were answered, want %d to %d", rateRequests, answered, rateBurst, most)
	}
	// Another principal, and one of the same name that belongs to another account.
	for account, subject := range map[string]string{victim: "modest", thief: "greedy"} {
		bearer, err := i.mint(account, subject)
		if err != nil {
			return err
		}
		for range rateBurst {
			got, err := i.ask(ctx, w, get(account, "/cards").by(bearer))
			if err != nil {
				return err
			}
			if got.status != http.StatusOK {
				i.violate("the requests of one principal were counted against %s of %s: %d", subject, account, got.status)
			}
		}
	}
	i.note("with a limit of %d a second and %d at once, %d of %d requests were answered", ratePerSecond, rateBurst, answered, rateRequests)
	return nil
}
