package proof

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Engine is a database that is attacked.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Program is the server to attack.
type Program struct {
	Path string
	Env  []string // in the form of os.Environ, without settings of Kort
}

// Options say what to attack, and for how long. All fields but Dir and Observe are
// required.
type Options struct {
	// Program is started for each attack, as `kort serve`.
	Program Program
	// Engines are what to attack.
	Engines []Engine
	// Items are what to do; [ParseItems] has them all.
	Items []Item
	// Budget is divided among the attacks. Each ends when its share is over; what it
	// takes to prepare and to check comes on top.
	Budget time.Duration
	// Parallel is how many attacks go on at the same time, each on servers and databases of
	// its own. Most of the time of an attack is spent waiting.
	Parallel int
	// Seed decides everything that is drawn. How processes interleave it cannot decide.
	Seed uint64
	// Clients send requests at the same time.
	Clients int
	// Dir is where the temporary data goes; empty for the system's directory.
	Dir string
	// Version is what the report calls the program.
	Version string
	// Observe, when set, is told which attack begins; by one at a time.
	Observe func(phase string)
}

// Item names a kind of attack.
type Item string

// attack is one way to attack one engine.
type attack struct {
	item   Item
	engine Engine
	what   string
	// weight is its part of the budget.
	weight int
	run    func(*trial, context.Context) error
}

// attacks are all there are.
func attacks() []attack {
	return []attack{
		{ItemCrash, SQLite, "the server is killed", 4, (*trial).crashServer},
		{ItemCrash, Postgres, "the server is killed", 4, (*trial).crashServer},
		{ItemCrash, Postgres, "PostgreSQL is killed", 4, (*trial).crashDatabase},
		{ItemFailover, Postgres, "the primary is killed, the standby promoted", 4, (*trial).failover},
		{ItemNetwork, SQLite, "between clients and server", 3, (*trial).clientNetwork},
		{ItemNetwork, Postgres, "between server and database", 3, (*trial).databaseNetwork},
		{ItemResources, SQLite, "the disk is full", 1, (*trial).fullDisk},
		{ItemResources, Postgres, "the disk is full", 1, (*trial).fullDisk},
		{ItemResources, SQLite, "the database is locked", 1, (*trial).lockedDatabase},
		{ItemResources, SQLite, "no file descriptors are left", 1, (*trial).noDescriptors},
		{ItemResources, SQLite, "idle and slow connections", 1, (*trial).lingerers},
		{ItemResources, Postgres, "slow connections", 1, (*trial).lingerers},
		{ItemSecurity, SQLite, "an intruder", 2, (*trial).intrude},
		{ItemSecurity, Postgres, "an intruder, two servers", 2, (*trial).intrude},
		{ItemTamper, SQLite, "the database is changed by hand", 4, (*trial).tamper},
		{ItemTamper, Postgres, "the database is changed by hand", 4, (*trial).tamper},
		{ItemLinear, SQLite, "one server", 3, (*trial).linearOne},
		{ItemLinear, Postgres, "one server", 4, (*trial).linearOne},
		{ItemLinear, Postgres, "two servers, one database", 4, (*trial).linearTwo},
	}
}

// Items are all kinds of attacks, in the order of the report.
func Items() []Item {
	var all []Item
	for _, a := range attacks() {
		if !slices.Contains(all, a.item) {
			all = append(all, a.item)
		}
	}
	return all
}

// ParseItems reads a list of names; none means all.
func ParseItems(names []string) ([]Item, error) {
	if len(names) == 0 {
		return Items(), nil
	}
	items := make([]Item, 0, len(names))
	for _, name := range names {
		item := Item(strings.TrimSpace(name))
		if !slices.Contains(Items(), item) {
			return nil, fmt.Errorf("there is no attack of this name; there are %s", ItemList())
		}
		items = append(items, item)
	}
	return items, nil
}

// ItemList names all kinds of attacks.
func ItemList() string {
	names := make([]string, 0, len(Items()))
	for _, item := range Items() {
		names = append(names, string(item))
	}
	return strings.Join(names, ", ")
}

// ErrViolated says that an attack has found something.
var ErrViolated = errors.New("what the server promises does not hold")

// Run attacks. A report with violations is no error; an error means that an attack could
// not be carried out.
func Run(ctx context.Context, o Options) (Report, error) {
	report := Report{Version: o.Version, Started: time.Now().UTC(), Seed: o.Seed, BudgetSeconds: o.Budget.Seconds()}
	wanted := slices.DeleteFunc(attacks(), func(a attack) bool {
		return !slices.Contains(o.Items, a.item) || !slices.Contains(o.Engines, a.engine)
	})
	total := 0
	for _, a := range wanted {
		total += a.weight
	}
	report.Results = make([]Result, len(wanted))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(o.Parallel)
	var observing sync.Mutex
	for i, a := range wanted {
		group.Go(func() error {
			if ctx.Err() != nil { // another one could not be carried out
				return ctx.Err()
			}
			if o.Observe != nil {
				observing.Lock()
				o.Observe(fmt.Sprintf("%s: %s, %s", a.engine, a.item, a.what))
				observing.Unlock()
			}
			t := &trial{
				Options: o, engine: a.engine, share: o.Budget * time.Duration(a.weight) / time.Duration(total),
				random: rand.New(rand.NewPCG(o.Seed, uint64(i))), //nolint:gosec // nobody has to guess it
				Result: Result{Item: a.item, Engine: a.engine, What: a.what},
			}
			err := t.carryOut(ctx, a)
			report.Results[i] = t.Result
			return err
		})
	}
	return report, group.Wait()
}

// carryOut runs an attack and takes its time.
func (t *trial) carryOut(ctx context.Context, a attack) error {
	begun := time.Now()
	err := a.run(t, ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s on %s, %s, seed %d: %w", a.item, a.engine, a.what, t.Seed, err)
	}
	t.Result.Seconds = time.Since(begun).Seconds()
	return nil
}

// trial is one attack while it goes on.
type trial struct {
	Options
	Result
	engine Engine
	// share is how long the attack lasts.
	share  time.Duration
	random *rand.Rand
	mu     sync.Mutex // for the result, while clients are at work
}

// violate notes a violation.
func (t *trial) violate(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Violated++
	if len(t.Violations) < mostViolations {
		t.Violations = append(t.Violations, fmt.Sprintf(format, args...))
	}
}

// note adds a figure.
func (t *trial) note(format string, args ...any) {
	t.Notes = append(t.Notes, fmt.Sprintf(format, args...))
}

// between draws a time.
func (t *trial) between(least, most time.Duration) time.Duration {
	return least + time.Duration(t.random.Int64N(int64(most-least)))
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
