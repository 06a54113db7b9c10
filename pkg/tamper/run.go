package tamper

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kortwallet/kort/pkg/audit"
	"github.com/kortwallet/kort/pkg/repository"
)

// Options say where and how long to tamper.
type Options struct {
	// Store is of a migrated database without cards, which nobody else uses.
	Store *repository.Store
	// Raw is a way into the same database past the store: of the driver "pgx" or
	// "sqlite". Run takes one connection of it.
	Raw *sql.DB
	// Seed makes the history and the tamperings; the same seed makes the same ones.
	Seed uint64
	// Count is after how many tamperings Run ends, and Deadline when. The first counts;
	// a zero one does not. One of them must be given.
	Count    int
	Deadline time.Time
	// Progress, when set, is told how many tamperings were made.
	Progress func(done int)
}

// Result is what became of the tamperings.
type Result struct {
	audit.Scope                // of the database
	Tamperings  int            // that the database let happen
	Refused     int            // others that a constraint of the database refused
	ByKind      map[Kind]int   // of Tamperings
	ByColumn    map[string]int // of the edits, by table.column; all that can be written are there
	Missed      []string       // the tamperings that were not found, with how to repeat them
}

// Found is how many tamperings a finding named.
func (r *Result) Found() int { return r.Tamperings - len(r.Missed) }

// maxTries bounds how often a recipe is tried until it comes to something: most values
// for the amounts of a card break a constraint.
const maxTries = 200

// Run fills the database, tampers with it, and leaves it as it was filled. What is not
// found is no error; an error means that Run did not get to its end.
func Run(ctx context.Context, o Options) (result Result, err error) {
	if o.Count <= 0 && o.Deadline.IsZero() {
		return result, errors.New("tamper: neither a number of tamperings nor a deadline is given")
	}
	result.ByKind, result.ByColumn = map[Kind]int{}, map[string]int{}
	if err := populate(ctx, o.Store, o.Seed); err != nil {
		return result, fmt.Errorf("fill the database: %w", err)
	}
	e, err := newEngine(ctx, o)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	for i := range e.deck {
		if r := &e.deck[i]; r.kind == Edit {
			result.ByColumn[r.table+"."+r.column] = 0
		}
	}
	if result.Scope, err = e.clean(ctx); err != nil {
		return result, err
	}
	if err := e.run(ctx, &result); err != nil {
		return result, err
	}
	_, err = e.clean(ctx)
	return result, err
}

// engine tampers.
type engine struct {
	o      Options
	dice   *rand.Rand
	conn   *sql.Conn
	tables map[string]table
	deck   []recipe // of which each round plays all
}

func newEngine(ctx context.Context, o Options) (e *engine, err error) {
	e = &engine{o: o, dice: dice(o.Seed, 2), tables: map[string]table{}}
	if e.conn, err = o.Raw.Conn(ctx); err != nil {
		return nil, fmt.Errorf("tamper: %w", err)
	}
	for _, name := range tableNames {
		if err := e.copyTable(ctx, name); err != nil {
			return nil, errors.Join(fmt.Errorf("copy %s: %w", name, err), e.conn.Close())
		}
	}
	e.deck = e.recipes()
	return e, nil
}

func (e *engine) close() error { return e.conn.Close() }

// dice are repeatable. Each use of a seed has its own.
func dice(seed, use uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, use)) //nolint:gosec // nobody has to guess it
}

// clean fails where an audit of the database as it is finds anything.
func (e *engine) clean(ctx context.Context) (audit.Scope, error) {
	report, err := e.verify(ctx)
	if err != nil {
		return report.Scope, err
	}
	if !report.OK() {
		return report.Scope, fmt.Errorf("tamper: nothing was changed, but verify says: %v", report.Findings.First[0])
	}
	return report.Scope, nil
}

func (e *engine) verify(ctx context.Context) (audit.Report, error) {
	const all = 1 << 20
	return audit.Verify(ctx, e.o.Store, audit.Options{MaxFindings: all})
}

// run plays rounds until it is time to end.
func (e *engine) run(ctx context.Context, result *Result) error {
	for {
		e.dice.Shuffle(len(e.deck), func(i, j int) { e.deck[i], e.deck[j] = e.deck[j], e.deck[i] })
		for i := range e.deck {
			if e.o.Count > 0 && result.Tamperings >= e.o.Count || !e.o.Deadline.IsZero() && time.Now().After(e.o.Deadline) {
				return nil
			}
			before := result.Tamperings
			for tries := 0; tries < maxTries && result.Tamperings == before; tries++ {
				if err := e.tamper(ctx, &e.deck[i], result); err != nil {
					return fmt.Errorf("tamper, seed %d, after %d: %w", e.o.Seed, before, err)
				}
			}
		}
	}
}

// tamper makes one tampering, judges what verify says, and undoes it.
func (e *engine) tamper(ctx context.Context, r *recipe, result *Result) error {
	steps, err := r.plan(ctx, e)
	if err != nil || len(steps) == 0 {
		return err
	}
	refusal, err := e.apply(ctx, steps)
	if err != nil {
		return fmt.Errorf("%s: %w", describe(r, steps), err)
	}
	if refusal != nil {
		result.Refused++
		return nil //nolint:nilerr // the database did not let it happen
	}
	change, err := e.difference(ctx)
	if err != nil || change.empty() { // the rows were alike
		return err
	}
	report, failed := e.verify(ctx)
	if err := e.undo(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	result.Tamperings++
	result.ByKind[r.kind]++
	if r.column != "" {
		result.ByColumn[r.table+"."+r.column]++
	}
	problem := change.unnamed(r.kind, report.Findings.First)
	if failed != nil {
		problem = "verify failed: " + failed.Error()
	}
	if problem != "" {
		result.Missed = append(result.Missed, fmt.Sprintf("seed %d, tampering %d, %s: %s; found: %v",
			e.o.Seed, result.Tamperings, describe(r, steps), problem, first(report.Findings.First)))
	}
	if e.o.Progress != nil {
		e.o.Progress(result.Tamperings)
	}
	return nil
}

// first are the findings that a message has room for.
func first(findings []audit.Finding) []audit.Finding {
	const room = 4
	return findings[:min(room, len(findings))]
}

func describe(r *recipe, steps []step) string {
	text := string(r.kind)
	if r.column != "" {
		text += " of " + r.table + "." + r.column
	}
	for _, s := range steps {
		text += fmt.Sprintf("; %s %v", s.text, s.args)
	}
	return text
}
