package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/pkg/ledger"
)

const (
	// firstHistoryChunk is how many transactions are read before the first byte of an
	// answer: few, so that it comes soon.
	firstHistoryChunk = 100
	// historyChunk is how many are read at once from then on.
	historyChunk = 1000
	// historyBufferBytes is how much of an answer is collected before it is sent.
	historyBufferBytes = 32 << 10
)

// AidCardsCardidTransactionsTidGet lists a card's transactions.
func (h *handlers) AidCardsCardidTransactionsTidGet(
	ctx context.Context, r api.AidCardsCardidTransactionsTidGetRequestObject,
) (api.AidCardsCardidTransactionsTidGetResponseObject, error) {
	card, err := h.Store.Card(ctx, r.Aid, r.CardID)
	if err != nil {
		return nil, err
	}
	list := &history{ctx: ctx, h: h, account: r.Aid, card: card}
	if err := list.read(); err != nil { // while a proper error can still be sent
		return nil, err
	}
	return list, nil
}

// history streams a card's transactions, as many as it had when it was asked for.
// A chunk is read whole before it is sent, so that nothing stays open in the
// database while a slow client reads.
type history struct {
	ctx     context.Context //nolint:containedctx // lives as long as the request it belongs to
	h       *handlers
	account string
	card    ledger.Card
	chunk   []ledger.Transaction
	seq     int64 // of the last transaction read
}

func (l *history) read() error {
	limit := min(historyChunk, l.card.Seq-l.seq)
	if l.seq == 0 {
		limit = min(firstHistoryChunk, limit)
	}
	if limit == 0 {
		l.chunk = nil
		return nil
	}
	chunk, err := l.h.Store.Transactions(l.ctx, l.account, l.card.ID, l.seq, int(limit))
	if err != nil {
		return fmt.Errorf("read transactions: %w", err)
	}
	if len(chunk) == 0 {
		return fmt.Errorf("read transactions after %d of %d: %w", l.seq, l.card.Seq, ledger.ErrCorrupt)
	}
	l.chunk, l.seq = chunk, chunk[len(chunk)-1].Seq
	return nil
}

// VisitAidCardsCardidTransactionsTidGetResponse implements the generated interface.
// Once the first bytes are sent, a failure can only be told by cutting the
// connection: half a list must not look like a whole one.
func (l *history) VisitAidCardsCardidTransactionsTidGetResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(http.StatusOK)
	out := bufio.NewWriterSize(w, historyBufferBytes)
	if err := l.write(out); err != nil {
		l.h.Log.ErrorContext(l.ctx, "list of transactions cut off", RequestAttr(l.ctx), "cause", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

func (l *history) write(out *bufio.Writer) error {
	separator := byte('[')
	for ; len(l.chunk) > 0; separator = ',' {
		for i := range l.chunk {
			text, err := json.Marshal(transactionOf(&l.chunk[i]))
			if err != nil {
				return fmt.Errorf("encode transaction: %w", err)
			}
			if err := out.WriteByte(separator); err != nil {
				return err
			}
			if _, err := out.Write(text); err != nil {
				return err
			}
			separator = ','
		}
		if err := out.Flush(); err != nil { // the client has something to read meanwhile
			return err
		}
		if err := l.read(); err != nil {
			return err
		}
	}
	if separator == '[' {
		if err := out.WriteByte('['); err != nil {
			return err
		}
	}
	if _, err := out.WriteString("]\n"); err != nil {
		return err
	}
	return out.Flush()
}
