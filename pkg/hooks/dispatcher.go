package hooks

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// Defaults of Options.
const (
	DefaultTimeout         = 15 * time.Second
	DefaultAttempts        = 16
	DefaultKeep            = 30 * 24 * time.Hour
	DefaultConcurrency     = 128
	DefaultPerSubscription = 32
	defaultPoll            = time.Second
	defaultFirstPause      = 5 * time.Second
	defaultLongestPause    = time.Hour
	defaultUserAgent       = "Kort-Hook"
)

const (
	// leaseBeyond is how much longer than an attempt a delivery is nobody else's: room for
	// those behind it, and for a database that is slow to note what came of it.
	leaseBeyond = 15 * time.Second
	// leaseMargin is what has to be left of that for an attempt to begin.
	leaseMargin = 5 * time.Second
	// roundTimeout is longer than the time limit of any statement, so that only a dead
	// connection meets it.
	roundTimeout = 45 * time.Second
	// troublePause is the wait after a database was asked in vain.
	troublePause = time.Second
	// purgeEvery is the time between two looks for old deliveries.
	purgeEvery = time.Minute
)

// Options tune a Dispatcher. Zero values mean the defaults.
type Options struct {
	Targets Targets
	// Keys open the secrets of subscriptions.
	Keys cardcode.Keyring
	Log  *slog.Logger
	// Resolver finds the addresses of hosts; nil is the system's.
	Resolver  *net.Resolver
	UserAgent string
	// Attempted, when set, is told of each attempt. It must be quick, and is called by many at once.
	Attempted func(Attempted)
	// Timeout bounds an attempt.
	Timeout time.Duration
	// Attempts is after how many a delivery is given up.
	Attempts int
	// FirstPause is the longest wait after the first attempt. It doubles with each, up to
	// LongestPause.
	FirstPause, LongestPause time.Duration
	// Keep is how long deliveries are kept once they are settled.
	Keep time.Duration
	// Poll is how often the database is asked, which other servers write to as well.
	Poll time.Duration
	// Concurrency bounds the deliveries at the same time, PerSubscription those of one.
	Concurrency, PerSubscription int
}

func (o *Options) orDefault() {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.UserAgent == "" {
		o.UserAgent = defaultUserAgent
	}
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&o.Timeout, DefaultTimeout},
		{&o.FirstPause, defaultFirstPause},
		{&o.LongestPause, defaultLongestPause},
		{&o.Keep, DefaultKeep},
		{&o.Poll, defaultPoll},
	} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	for _, n := range []struct {
		value    *int
		fallback int
	}{
		{&o.Attempts, DefaultAttempts},
		{&o.Concurrency, DefaultConcurrency},
		{&o.PerSubscription, DefaultPerSubscription},
	} {
		if *n.value <= 0 {
			*n.value = n.fallback
		}
	}
}

// Dispatcher sends what is due. Several of them, on several servers, share the work. It
// is safe for concurrent use.
type Dispatcher struct {
	o      Options
	store  *repository.Store
	sender *sender

	wake    chan struct{}
	results chan result
	stop    chan struct{}
	ended   chan struct{}
	once    sync.Once
	// sending is the context of all attempts.
	sending context.Context //nolint:containedctx // it lives as long as the dispatcher
	abort   context.CancelFunc
	purging sync.WaitGroup

	// Of the goroutine that runs.
	flying   int // streams on their way
	busy     map[uuid.UUID]int
	outcomes map[string][]repository.HookOutcome // by account, not yet noted
	turn     int                                 // whose turn it is among the subscriptions
	troubled bool                                // the database could not be asked
}

// result is what became of a chain.
type result struct {
	account      string
	subscription uuid.UUID
	outcomes     []repository.HookOutcome
}

// Start starts a dispatcher. Stop it with [Dispatcher.Close].
func Start(store *repository.Store, o Options) *Dispatcher {
	o.orDefault()
	d := &Dispatcher{
		o: o, store: store, wake: make(chan struct{}, 1), results: make(chan result, o.Concurrency),
		stop: make(chan struct{}), ended: make(chan struct{}),
		busy: map[uuid.UUID]int{}, outcomes: map[string][]repository.HookOutcome{},
	}
	d.sender = newSender(&d.o)
	d.sending, d.abort = context.WithCancel(context.Background())
	d.purging.Go(d.purge)
	go d.run()
	return d
}

// Targets says where events may be sent to.
func (d *Dispatcher) Targets() Targets { return d.o.Targets }

// Wake makes the dispatcher look for deliveries now. It does not wait.
func (d *Dispatcher) Wake() {
	select {
	case d.wake <- struct{}{}:
	default: // it is about to look anyway
	}
}

// Close takes no more deliveries, and waits for those on their way until the context
// ends; then they are left to the next server.
func (d *Dispatcher) Close(ctx context.Context) error {
	d.once.Do(func() { close(d.stop) })
	select {
	case <-d.ended:
	case <-ctx.Done():
		d.abort()
		<-d.ended // their attempts end now, and the database has its own limits
	}
	d.abort()
	d.purging.Wait()
	d.sender.transport.CloseIdleConnections()
	return nil
}

// run is the one goroutine that notes outcomes and takes deliveries, both in one commit:
// while a commit runs, the outcomes of the next one gather.
func (d *Dispatcher) run() {
	defer close(d.ended)
	poll := time.NewTicker(d.o.Poll)
	defer poll.Stop()
	if err := d.store.ReleaseHooks(context.Background()); err != nil { // their time will be up anyway
		d.o.Log.Warn("webhooks: deliveries of an earlier server could not be taken over", "error", err)
	}
	for stopping := false; ; {
		again, err := d.boundedRound(!stopping)
		d.report(err)
		if err != nil && !d.pause(troublePause) && stopping {
			return // whoever takes the deliveries next sends them again
		}
		if stopping && d.flying == 0 && len(d.outcomes) == 0 {
			return
		}
		if again && err == nil {
			select {
			case <-d.stop:
				stopping = true
			default:
			}
			continue
		}
		stop := d.stop
		if stopping {
			stop = nil
		}
		select {
		case r := <-d.results:
			d.collect(r)
		case <-d.wake:
		case <-poll.C:
		case <-stop:
			stopping = true
		}
	}
}

// report logs the beginning and the end of trouble with the database.
func (d *Dispatcher) report(err error) {
	switch {
	case err != nil && !d.troubled:
		d.o.Log.Warn("webhooks: the database cannot be asked, nothing is sent meanwhile", "error", err)
	case err == nil && d.troubled:
		d.o.Log.Info("webhooks: the database can be asked again")
	}
	d.troubled = err != nil
}

// boundedRound is a round that a network cannot swallow. What became of it may be unknown
// then: outcomes that were noted are not noted twice, and deliveries that were taken are
// anybody's again when their time is up.
func (d *Dispatcher) boundedRound(take bool) (again bool, err error) {
	ctx := context.Background() // a commit is nobody's to cancel
	if d.store.Postgres() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, roundTimeout)
		defer cancel()
	}
	return d.round(ctx, take)
}

// pause tells whether there was time for it.
func (d *Dispatcher) pause(length time.Duration) bool {
	select {
	case <-time.After(length):
		return true
	case <-d.sending.Done():
		return false
	}
}

func (d *Dispatcher) collect(r result) {
	d.flying--
	if d.busy[r.subscription]--; d.busy[r.subscription] == 0 {
		delete(d.busy, r.subscription)
	}
	d.outcomes[r.account] = append(d.outcomes[r.account], r.outcomes...)
}

// round notes what came of deliveries and, if it may, takes more. Again tells that there
// is more to do at once.
func (d *Dispatcher) round(ctx context.Context, take bool) (again bool, err error) {
	for len(d.results) > 0 {
		d.collect(<-d.results)
	}
	takes := map[string][]repository.HookTake{}
	if take && d.flying < d.o.Concurrency {
		queues, err := d.store.DueHooks(ctx, ledger.MicrosOf(time.Now()))
		if err != nil {
			return false, err
		}
		takes = d.share(d.withSettled(queues))
	}
	var works []repository.HookWork
	for _, account := range slices.Sorted(maps.Keys(union(takes, d.outcomes))) {
		works = append(works, repository.HookWork{Account: account, Outcomes: d.outcomes[account], Takes: takes[account]})
	}
	for len(works) > 0 {
		n := len(works)
		if d.store.Postgres() { // a commit belongs to one account
			n = 1
		}
		lease := ledger.MicrosOf(time.Now().Add(d.o.Timeout + leaseBeyond))
		chains, more, err := d.store.RunHooks(ctx, works[:n], ledger.MicrosOf(time.Now()), lease)
		if err != nil {
			return false, err
		}
		again = again || more
		for i := range works[:n] {
			delete(d.outcomes, works[i].Account)
		}
		d.launch(ctx, chains)
		works = works[n:]
	}
	return again, nil
}

// withSettled adds the subscriptions whose deliveries are about to be settled, since that
// may be what others wait for.
func (d *Dispatcher) withSettled(queues []repository.HookQueue) []repository.HookQueue {
	for account, outcomes := range d.outcomes {
		for i := range outcomes {
			q := repository.HookQueue{Account: account, Subscription: outcomes[i].Event.Subscription}
			if outcomes[i].SettledAt != nil && !slices.Contains(queues, q) {
				queues = append(queues, q)
			}
		}
	}
	return queues
}

func union[A, B any](a map[string]A, b map[string]B) map[string]bool {
	keys := map[string]bool{}
	for key := range a {
		keys[key] = true
	}
	for key := range b {
		keys[key] = true
	}
	return keys
}

// share divides the free places among the subscriptions that have something to send, so
// that a slow receiver keeps no other waiting. Who is first changes each time.
func (d *Dispatcher) share(queues []repository.HookQueue) map[string][]repository.HookTake {
	takes := map[string][]repository.HookTake{}
	free := d.o.Concurrency - d.flying
	each := max(1, free/max(1, len(queues)))
	for i := range queues {
		q := queues[(d.turn+i)%len(queues)]
		n := min(each, free, d.o.PerSubscription-d.busy[q.Subscription])
		if n <= 0 {
			continue
		}
		takes[q.Account] = append(takes[q.Account], repository.HookTake{Subscription: q.Subscription, Streams: n})
		free -= n
	}
	d.turn++
	return takes
}

// launch sends chains on their way.
func (d *Dispatcher) launch(ctx context.Context, chains []repository.HookChain) {
	byAccount := map[string][]repository.HookChain{}
	for _, c := range chains {
		byAccount[c.Account] = append(byAccount[c.Account], c)
	}
	for account, chains := range byAccount {
		var events []repository.HookEvent
		for i := range chains {
			events = append(events, chains[i].Events...)
		}
		facts, err := d.store.HookFacts(ctx, account, events)
		for _, c := range chains {
			d.flying++
			d.busy[c.Events[0].Subscription]++
			if err != nil {
				d.o.Log.Warn("webhooks: the facts of events could not be read", "error", err, "account", account)
				d.results <- putBack(&c, time.Now().Add(troublePause))
				continue
			}
			go func() { d.results <- d.deliver(&c, &facts) }()
		}
	}
}

// purge removes old deliveries, little by little.
func (d *Dispatcher) purge() {
	timer := time.NewTicker(min(purgeEvery, d.o.Keep))
	defer timer.Stop()
	for {
		select {
		case <-d.stop:
			return
		case <-timer.C:
		}
		for more := true; more; {
			removed, err := d.store.PurgeHooks(context.WithoutCancel(d.sending), ledger.MicrosOf(time.Now().Add(-d.o.Keep)))
			if err != nil {
				d.o.Log.Warn("webhooks: old deliveries could not be removed", "error", err)
			}
			select {
			case <-d.stop:
				return
			default:
				more = removed > 0 && err == nil
			}
		}
	}
}
