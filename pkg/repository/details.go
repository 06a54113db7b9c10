package repository

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"

	"github.com/kortwallet/kort/pkg/ledger"
)

const (
	// detailReaders is how many trips for cards are under way at once. The fewer, the
	// more cards share one.
	detailReaders = 2
	// maxDetails bounds the cards of one trip.
	maxDetails = 256
	// detailTimeout bounds one trip.
	detailTimeout = 30 * time.Second
)

// CardDetails finds a live card by the retailer's id, with its tokens that have not
// expired, oldest first, or returns [ErrNotFound].
func (s *Store) CardDetails(ctx context.Context, account, cardID string, now ledger.Micros) (ledger.Card, []ledger.Token, error) {
	if s.details != nil {
		return s.details.find(ctx, detailQueue{account: account}, &detail{cardID: cardID, now: now})
	}
	card, err := s.Card(ctx, account, cardID)
	if err != nil {
		return ledger.Card{}, nil, err
	}
	tokens, err := s.Tokens(ctx, account, card.ID, now)
	return card, tokens, err
}

// detailReader looks cards up on PostgreSQL, all that wait for one account in one
// trip, which costs more than a card does. It has no timer: what queued up while the
// last trip was under way goes on the next. Look-ups by card and by token make trips of
// their own, so that a card of very many tokens keeps no till waiting.
type detailReader struct {
	pool  *bun.DB
	texts detailTexts
	watch func(string)

	mu      sync.Mutex
	waiting map[detailQueue][]*detail
	queues  []detailQueue // those that have somebody waiting, first come first
	running int
}

// detailQueue is for what can share a trip.
type detailQueue struct {
	account string
	byToken bool
}

// detailTexts are the statements of trips: two for cards by the retailer's id and their
// tokens, two for tokens by their hashes and their cards.
type detailTexts struct{ cards, cardTokens, tokens, tokenCards lookup }

// detail is a look-up on its way.
type detail struct {
	cardID string   // the retailer's
	hashes []string // of a token, where it is looked up by one
	now    ledger.Micros
	card   ledger.Card
	tokens []ledger.Token
	err    error
	done   chan struct{}
}

// newDetailReader writes the statements. Neither of those by token finds anything for one
// that is unknown, another account's or has expired, so that these take the same time.
func newDetailReader(pool *bun.DB, watch func(string)) *detailReader {
	d := dialect{postgres: true}
	cards, tokens := modelOf(pool, cardRow{}), modelOf(pool, tokenRow{})
	const live, valid = "c.account_id = $1 AND c.deleted_at IS NULL", "x.account_id = $1 AND (x.expires_at IS NULL OR x.expires_at > $3)"
	named := live + " AND c.card_id " + d.among(cardIDColumns[0], 2)
	presented := valid + " AND x.hash " + d.among(hashColumns[0], 2)
	return &detailReader{pool: pool, watch: watch, waiting: map[detailQueue][]*detail{}, texts: detailTexts{
		cards:      d.lookup("c", columnsOf(cards), "FROM cards AS c WHERE %s", named),
		cardTokens: d.lookup("x", columnsOf(tokens), "FROM cards AS c CROSS JOIN tokens AS x WHERE %s AND %s AND x.card_object_id = c.id ORDER BY x.id", named, valid),
		tokens:     d.lookup("x", columnsOf(tokens), "FROM tokens AS x WHERE %s", presented),
		tokenCards: d.lookup("c", columnsOf(cards), "FROM tokens AS x CROSS JOIN cards AS c WHERE %s AND %s AND c.id = x.card_object_id", presented, live),
	}}
}

// find waits for a trip. A caller who leaves does not hold it up.
func (r *detailReader) find(ctx context.Context, q detailQueue, d *detail) (ledger.Card, []ledger.Token, error) {
	d.done = make(chan struct{})
	r.enqueue(q, d) //nolint:contextcheck // a trip is nobody's alone, so no caller can end it
	select {
	case <-d.done:
		return d.card, d.tokens, d.err
	case <-ctx.Done():
		return ledger.Card{}, nil, ctx.Err()
	}
}

func (r *detailReader) enqueue(q detailQueue, d *detail) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting[q]) == 0 {
		r.queues = append(r.queues, q)
	}
	r.waiting[q] = append(r.waiting[q], d)
	if r.running < detailReaders {
		r.running++
		go r.run()
	}
}

// run makes trips as long as somebody waits.
func (r *detailReader) run() {
	for {
		q, batch := r.take()
		if batch == nil {
			return
		}
		r.answer(q, batch)
	}
}

func (r *detailReader) take() (q detailQueue, batch []*detail) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queues) == 0 {
		r.running--
		return q, nil
	}
	q, r.queues = r.queues[0], r.queues[1:]
	waiting := r.waiting[q]
	n := min(len(waiting), maxDetails)
	if batch = waiting[:n]; n == len(waiting) {
		delete(r.waiting, q)
	} else {
		r.waiting[q] = waiting[n:]
		r.queues = append(r.queues, q)
	}
	return q, batch
}

// answer reads the cards of a batch and lets its callers go.
func (r *detailReader) answer(q detailQueue, batch []*detail) {
	err := r.readAgain(q, batch)
	for _, d := range batch {
		if err != nil {
			d.card, d.tokens, d.err = ledger.Card{}, nil, err
		}
		close(d.done)
	}
}

// readAgain takes another connection in place of one that a restart of the database has
// cut off: each of them may have been.
func (r *detailReader) readAgain(q detailQueue, batch []*detail) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("panic: %v\n%s", value, debug.Stack())
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), detailTimeout)
	defer cancel()
	for dead := 0; ; dead++ {
		for _, d := range batch { // whatever a broken answer has left
			d.card, d.tokens, d.err = ledger.Card{}, nil, ErrNotFound
		}
		err := r.read(ctx, q, batch)
		if ctx.Err() != nil || !cutOff(err) || dead >= detailReaders {
			return err
		}
	}
}

func (r *detailReader) read(ctx context.Context, q detailQueue, batch []*detail) error {
	oldest := batch[0].now
	for _, d := range batch {
		oldest = min(oldest, d.now)
	}
	write := r.byCardID
	if q.byToken {
		write = r.byToken
	}
	statements, err := write(q.account, oldest, batch)
	if err != nil {
		return err
	}
	return r.execute(ctx, statements)
}

// byCardID finds cards and then their tokens.
func (r *detailReader) byCardID(account string, oldest ledger.Micros, batch []*detail) ([]statement, error) {
	names := make([]string, len(batch))
	byName, byID := make(map[string][]*detail, len(batch)), make(map[uuid.UUID][]*detail, len(batch))
	for i, d := range batch {
		names[i] = d.cardID
		byName[d.cardID] = append(byName[d.cardID], d)
	}
	args, err := dialect{postgres: true}.arguments(account, textTable(cardIDColumns, names))
	if err != nil {
		return nil, err
	}
	return []statement{
		reading(r.texts.cards.text, args, r.texts.cards.columns, func(row *cardRow) error {
			answerAll(byName[row.CardID], row)
			byID[row.ID] = byName[row.CardID]
			return nil
		}),
		reading(r.texts.cardTokens.text, append(args[:len(args):len(args)], int64(oldest)), r.texts.cardTokens.columns, func(row *tokenRow) error {
			token := row.token()
			for _, d := range byID[token.Card] {
				if !token.Expired(d.now) {
					d.tokens = append(d.tokens, token)
				}
			}
			return nil
		}),
	}, nil
}

// byToken finds tokens and then their cards.
func (r *detailReader) byToken(account string, oldest ledger.Micros, batch []*detail) ([]statement, error) {
	var hashes []string
	byHash, byID := make(map[string][]*detail, len(batch)), make(map[uuid.UUID][]*detail, len(batch))
	for _, d := range batch {
		hashes = append(hashes, d.hashes...)
		for _, hash := range d.hashes {
			byHash[hash] = append(byHash[hash], d)
		}
	}
	args, err := dialect{postgres: true}.arguments(account, textTable(hashColumns, hashes))
	if err != nil {
		return nil, err
	}
	args = append(args, int64(oldest))
	return []statement{
		reading(r.texts.tokens.text, args, r.texts.tokens.columns, func(row *tokenRow) error {
			token := row.token()
			for _, d := range byHash[token.Hash] {
				if !token.Expired(d.now) {
					byID[token.Card] = append(byID[token.Card], d)
				}
			}
			return nil
		}),
		reading(r.texts.tokenCards.text, args, r.texts.tokenCards.columns, func(row *cardRow) error {
			answerAll(byID[row.ID], row)
			return nil
		}),
	}, nil
}

// answerAll gives a card to those who ask for it, whose matter a defective row is.
func answerAll(asking []*detail, row *cardRow) {
	card, err := row.card()
	for _, d := range asking {
		d.card, d.err = card, err
	}
}

// execute sends all statements at once.
func (r *detailReader) execute(ctx context.Context, statements []statement) error {
	for i := range statements {
		r.watch(statements[i].text)
	}
	conn, err := r.pool.DB.Conn(ctx)
	if err != nil {
		return classify(err)
	}
	defer func() { _ = conn.Close() }() // back to the pool; an error would be one of an earlier use
	return classify(conn.Raw(func(driver any) error {
		return pipeline(ctx, driver.(*stdlib.Conn).Conn(), statements)
	}))
}
