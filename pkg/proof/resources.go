package proof

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// ItemResources takes away what a server needs, and spends it on others.
const ItemResources Item = "resources"

const (
	// longestScarcity bounds these attacks: they find what there is to find in a short
	// time, and a small disk has no room for a long one.
	longestScarcity = 20 * time.Second
	// toldWithin is how long the clients may have to wait to hear that it cannot be now:
	// longer than the server goes on trying.
	toldWithin = 25 * time.Second
	// recoveredWithin is how soon it has to be as before.
	recoveredWithin = 10 * time.Second
)

// scarcity is a lack of something that a server needs in order to write.
type scarcity struct {
	begin, end func(context.Context) error
	// reads says that they are to go on meanwhile. Otherwise they may be answered
	// with 503 as well.
	reads bool
}

// prober looks from outside what a server under load is worth meanwhile.
type prober struct {
	*worker
	server         *server
	told, recovery time.Duration // the longest waits for bad news and for good news
	waits          []time.Duration
	reads          atomic.Int64 // that were answered
}

// newProber makes one for a load on a server.
func (l *load) newProber(server *server) *prober {
	return &prober{server: server, worker: &worker{
		load: l, client: l.newClient(),
		random: rand.New(rand.NewPCG(l.Seed, 999)), //nolint:gosec // nobody has to guess it
	}}
}

// starve lets a server be short of something until clients have heard of it, and then
// wants everything to be as before.
func (p *prober) starve(ctx context.Context, s scarcity) error {
	p.Faults++
	before := p.times503()
	err := s.begin(ctx)
	if err == nil {
		err = p.badNews(ctx, before)
	}
	if err == nil {
		p.read(ctx, s.reads)
	}
	if err := errors.Join(err, s.end(ctx)); err != nil {
		return err
	}
	return p.writesAgain(ctx)
}

// times503 is how often the clients were told that it cannot be now.
func (l *load) times503() int64 {
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.held
}

// badNews waits until a client hears that it cannot be now.
func (p *prober) badNews(ctx context.Context, before int64) error {
	begun := time.Now()
	defer func() { p.told = max(p.told, time.Since(begun)) }()
	for p.times503() == before {
		if time.Since(begun) > toldWithin {
			p.violate("no client was told within %s that the server cannot write", toldWithin)
			return nil
		}
		if err := pause(ctx, askAgain); err != nil {
			return err
		}
	}
	return nil
}

// read reads a card.
func (p *prober) read(ctx context.Context, must bool) {
	begun := time.Now()
	got, err := p.client.send(ctx, http.MethodGet, cardPath(cardName(0)), nil)
	p.waits = append(p.waits, time.Since(begun))
	p.reads.Add(1)
	p.Operations++
	switch {
	case err != nil:
		p.violate("a card could not be read: %v", err)
	case got.status == http.StatusOK:
	case must || got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "":
		p.violate("a card could not be read: %d %s, as the server says: %s", got.status, got.body, p.server.reason(got.header.Get("X-Request-Id")))
	}
}

// writesAgain writes something, as soon as that is possible again.
func (p *prober) writesAgain(ctx context.Context) error {
	begun := time.Now()
	for {
		i, err := p.intend(cardName(0), "/transactions", map[string]any{
			"card_id": cardName(0), "type": "fund", "amount": 1, "currency": "NOK",
		})
		if err == nil {
			err = p.pursue(ctx, i)
		}
		if err != nil {
			return err
		}
		if i.state == acknowledged {
			break
		}
		if time.Since(begun) > recoveredWithin {
			break // the one who asked may have given up
		}
	}
	took := time.Since(begun)
	p.recovery = max(p.recovery, took)
	if took > recoveredWithin {
		p.violate("the server wrote again only %s after it could have", took)
	}
	return nil
}

// percentile is a wait that so many of a hundred do not exceed.
func (p *prober) percentile(of int) time.Duration {
	if len(p.waits) == 0 {
		return 0
	}
	slices.Sort(p.waits)
	return p.waits[(len(p.waits)-1)*of/100]
}

// probed puts a server under load and meanwhile does something, again and again, with a
// prober at hand.
func (t *trial) probed(ctx context.Context, s *site, server *server, something func(context.Context, *prober) error) (*prober, error) {
	t.share = min(t.share, longestScarcity)
	l, err := t.newLoad(ctx, s, server.url(), server.url())
	if err != nil {
		return nil, err
	}
	p := l.newProber(server)
	defer p.client.close()
	return p, l.under(ctx, s, server.url(), func(ctx context.Context) error { return something(ctx, p) })
}

// scarce puts a server under load and lets it be short of something again and again.
func (t *trial) scarce(ctx context.Context, s *site, server *server, draw func() scarcity) error {
	p, err := t.probed(ctx, s, server, func(ctx context.Context, p *prober) error {
		if err := pause(ctx, t.between(100*time.Millisecond, 400*time.Millisecond)); err != nil {
			return err
		}
		return p.starve(ctx, draw())
	})
	if err != nil {
		return err
	}
	p.figures()
	return nil
}

// figures notes how long clients waited.
func (p *prober) figures() {
	if p.told > 0 {
		p.note("told so after at most %s", p.told.Round(time.Millisecond))
	}
	p.note("written again after at most %s", p.recovery.Round(time.Millisecond))
}

// command runs a program of the system.
func command(ctx context.Context, name string, args ...string) error {
	if said, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil { //nolint:gosec // all are named here
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(said)))
	}
	return nil
}

// residentKiB is the memory of the server's process.
func (s *server) residentKiB(ctx context.Context) (float64, error) {
	said, err := exec.CommandContext(ctx, "ps", "-o", "rss=", "-p", strconv.Itoa(s.command.Process.Pid)).Output() //nolint:gosec // a number
	if err != nil {
		return 0, fmt.Errorf("ask for the server's memory: %w", err)
	}
	return strconv.ParseFloat(strings.TrimSpace(string(said)), 64)
}
