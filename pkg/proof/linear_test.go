package proof

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// told is one line of a hand-made history: a client that is alone with the card until
// the answer comes.
type told struct {
	asked request
	got   outcome
}

// sequence lets one line begin when the one before has ended.
func sequence(lines []told) []porcupine.Operation {
	operations := make([]porcupine.Operation, 0, len(lines))
	for n, line := range lines {
		line.asked.card = "card"
		if line.asked.verb == doGet {
			line.got.card.CardID = "card"
		}
		operations = append(operations, porcupine.Operation{
			ClientId: n, Input: line.asked, Output: line.got, Call: int64(10 * n), Return: int64(10*n + 5),
		})
	}
	return operations
}

// The requests of the hand-made histories. A card begins with 100.
func fund(ref string, amount int64) request {
	return request{verb: doFund, ref: ref, amount: amount, given: true}
}

func drawdown(ref string, amount int64) request {
	return request{verb: doDrawdown, ref: ref, amount: amount, given: true}
}

func pending(ref string, amount int64) request {
	return request{verb: doPending, ref: ref, amount: amount, given: true}
}

func capture(ref, parent string, amount int64) request {
	return request{verb: doCapture, ref: ref, parent: parent, amount: amount, given: true}
}

func captureAll(ref, parent string) request {
	return request{verb: doCapture, ref: ref, parent: parent}
}

func void(ref, parent string) request { return request{verb: doVoid, ref: ref, parent: parent} }

// done is the answer that a request took effect as the transaction id.
func done(r request, id string, amount int64) told {
	txn := transaction{ID: id, RefID: r.ref, Type: typeOf(r.verb), Amount: amount, ParentID: r.parent}
	return told{r, outcome{status: http.StatusOK, txn: txn, body: "the body of " + id}}
}

func again(line told) told {
	line.got.replayed = true
	return line
}

func refusedAs(r request, status int, code string) told {
	return told{r, outcome{status: status, code: code}}
}

func conflicts(r request, existing string) told {
	return told{r, outcome{status: http.StatusConflict, code: "ref_id_conflict", existing: existing}}
}

func unanswered(r request) told { return told{r, outcome{lost: true}} }

func reads(funds, drawdown, pending int64) told {
	return told{request{verb: doGet}, outcome{status: http.StatusOK, card: card{
		Funds: funds, Drawdown: drawdown, Balance: funds - drawdown,
		Pending: pending, Reserved: pending, Available: funds - drawdown - pending,
	}}}
}

func TestRightHistoriesHaveAnOrder(t *testing.T) {
	t.Parallel()
	hold := done(pending("a", 60), "1", 60)
	tests := []struct {
		name  string
		lines []told
	}{
		{"the contract's example, in small", []told{
			hold, reads(100, 0, 60), done(capture("b", "1", 20), "2", 20), reads(100, 20, 40),
			done(void("c", "1"), "3", 40), reads(100, 20, 0), refusedAs(captureAll("d", "1"), 409, "transaction_not_pending"),
		}},
		{"money that is there and money that is not", []told{
			done(drawdown("a", 100), "1", 100), refusedAs(drawdown("b", 1), 409, "insufficient_funds"),
			done(fund("c", 5), "2", 5), done(drawdown("b", 1), "3", 1), reads(105, 101, 0),
		}},
		{"a refused request uses no ref_id", []told{
			refusedAs(drawdown("a", 101), 409, "insufficient_funds"), done(drawdown("a", 99), "1", 99),
			conflicts(drawdown("a", 101), "1"), reads(100, 99, 0),
		}},
		{"a replay after the hold is closed", []told{
			hold, done(captureAll("b", "1"), "2", 60), again(hold), again(done(captureAll("b", "1"), "2", 60)), reads(100, 60, 0),
		}},
		{"too much of a hold", []told{
			hold, refusedAs(capture("b", "1", 61), 409, "amount_exceeds_reserved"), reads(100, 0, 60),
		}},
		{"a hold of nothing is open once", []told{
			done(pending("a", 0), "1", 0), done(captureAll("b", "1"), "2", 0), refusedAs(void("c", "1"), 409, "transaction_not_pending"),
		}},
		{"a capture of nothing leaves a hold open", []told{
			hold, done(capture("b", "1", 0), "2", 0), done(void("c", "1"), "3", 60),
		}},
		{"what is no hold, and what is not there", []told{
			done(drawdown("a", 1), "1", 1), refusedAs(void("b", "1"), 409, "transaction_not_pending"),
			refusedAs(void("b", "9"), 404, "not_found"),
		}},
		{"no answer, and no effect", []told{unanswered(drawdown("a", 70)), reads(100, 0, 0)}},
		{"no answer, and an effect", []told{unanswered(drawdown("a", 70)), reads(100, 70, 0)}},
		{"no answer, and an effect much later", []told{
			unanswered(drawdown("a", 70)), reads(100, 0, 0), reads(100, 70, 0), refusedAs(drawdown("b", 70), 409, "insufficient_funds"),
		}},
		{"no answer, and news of a hold by a replay", []told{
			unanswered(pending("a", 60)), again(hold), again(hold), done(captureAll("b", "1"), "2", 60),
		}},
		{"no answer, and asked again before it arrived", []told{unanswered(pending("a", 60)), hold, again(hold), reads(100, 0, 60)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got, _ := decide(sequence(test.lines), time.Minute); got != porcupine.Ok {
				t.Errorf("is %s", got)
			}
		})
	}
}

func TestWrongHistoriesHaveNone(t *testing.T) {
	t.Parallel()
	hold := done(pending("a", 60), "1", 60)
	voided := done(void("b", "1"), "2", 60)
	otherBody := again(hold)
	otherBody.got.body = "something else"
	tests := []struct {
		name  string
		lines []told
	}{
		{"the same money twice", []told{done(drawdown("a", 60), "1", 60), done(drawdown("b", 60), "2", 60)}},
		{"reserved money", []told{hold, done(drawdown("b", 60), "2", 60)}},
		{"a read of yesterday", []told{done(drawdown("a", 60), "1", 60), reads(100, 0, 0)}},
		{"reads that go back", []told{unanswered(drawdown("a", 60)), reads(100, 60, 0), reads(100, 0, 0)}},
		{"a read of a figure that does not fit", []told{hold, reads(100, 0, 59)}},
		{"one hold captured twice", []told{hold, done(captureAll("b", "1"), "2", 60), done(captureAll("c", "1"), "3", 60)}},
		{"more captured than held", []told{hold, done(capture("b", "1", 40), "2", 40), done(capture("c", "1", 40), "3", 40)}},
		{"all captured, and too little said", []told{hold, done(captureAll("b", "1"), "2", 50)}},
		{"a voided hold captured", []told{hold, voided, done(captureAll("c", "1"), "3", 60)}},
		{"a hold voided twice", []told{hold, voided, done(void("c", "1"), "3", 0)}},
		{"refused although there is money", []told{refusedAs(drawdown("a", 100), 409, "insufficient_funds")}},
		{"refused although the hold is open", []told{hold, refusedAs(captureAll("b", "1"), 409, "transaction_not_pending")}},
		{"refused with another code", []told{hold, voided, refusedAs(capture("c", "1", 61), 409, "amount_exceeds_reserved")}},
		{"refused with another status", []told{refusedAs(drawdown("a", 101), 400, "insufficient_funds")}},
		{"a refusal that took effect", []told{refusedAs(drawdown("a", 101), 409, "insufficient_funds"), reads(100, 101, 0)}},
		{"an acknowledged hold that is not found", []told{hold, refusedAs(void("b", "1"), 404, "not_found")}},
		{"a replay with another id", []told{hold, again(done(pending("a", 60), "2", 60))}},
		{"a replay with another body", []told{hold, otherBody}},
		{"a replay that is posted again", []told{hold, again(hold), reads(100, 0, 120)}},
		{"a replay that is called none", []told{hold, hold}},
		{"a first answer that is called a replay", []told{again(hold)}},
		{"a replay that is refused", []told{hold, refusedAs(pending("a", 60), 409, "insufficient_funds")}},
		{"the same request posted twice", []told{done(fund("a", 5), "1", 5), done(fund("a", 5), "2", 5)}},
		{"another request taken for a replay", []told{hold, again(done(pending("a", 50), "1", 60))}},
		{"a conflict about another transaction", []told{hold, voided, conflicts(pending("a", 50), "2")}},
		{"a conflict with nothing", []told{conflicts(pending("a", 50), "1")}},
		{"an id given twice", []told{done(fund("a", 5), "1", 5), done(fund("b", 5), "1", 5)}},
		{"another amount posted", []told{done(drawdown("a", 60), "1", 50)}},
		{"an answer of another transaction", []told{{drawdown("a", 60), hold.got}}},
		{"an internal error", []told{refusedAs(drawdown("a", 60), 500, "internal")}},
		{"no answer, and an effect that is undone", []told{
			unanswered(drawdown("a", 70)), refusedAs(drawdown("b", 70), 409, "insufficient_funds"), reads(100, 0, 0),
		}},
		{"no answer, and two effects", []told{unanswered(drawdown("a", 40)), reads(100, 80, 0)}},
		{"no answer, and asked again before two ids", []told{
			unanswered(pending("a", 60)), again(hold), again(done(pending("a", 60), "2", 60)),
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got, _ := decide(sequence(test.lines), time.Minute); got != porcupine.Illegal {
				t.Errorf("is %s", got)
			}
		})
	}
}

// Requests at the same time may have happened in any order, but in one.
func TestConcurrentRequestsNeedOneOrder(t *testing.T) {
	t.Parallel()
	together := func(lines ...told) []porcupine.Operation {
		operations := sequence(lines)
		for i := range operations[:2] {
			operations[i].Call, operations[i].Return = 0, 15
		}
		return operations
	}
	first := done(drawdown("a", 60), "1", 60)
	other := done(drawdown("b", 60), "2", 60)
	tooMuch := refusedAs(drawdown("b", 60), 409, "insufficient_funds")
	tests := []struct {
		name       string
		operations []porcupine.Operation
		want       porcupine.CheckResult
	}{
		{"one of two is refused", together(tooMuch, first, reads(100, 60, 0)), porcupine.Ok},
		{"none is", together(other, first), porcupine.Illegal},
		{"a read before", together(reads(100, 0, 0), first), porcupine.Ok},
		{"a read between", together(reads(100, 30, 0), first), porcupine.Illegal},
		{"the same request, once as a replay", together(again(first), first, reads(100, 60, 0)), porcupine.Ok},
		{"the same request, twice as the first", together(first, first), porcupine.Illegal},
		{"the same request, never as the first", together(again(first), again(first)), porcupine.Illegal},
		{"the same request, once without an answer", together(unanswered(first.asked), again(first)), porcupine.Ok},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got, _ := decide(test.operations, time.Minute); got != test.want {
				t.Errorf("is %s, want %s", got, test.want)
			}
		})
	}
}

func TestEachCardIsOnItsOwn(t *testing.T) {
	t.Parallel()
	history := sequence([]told{done(drawdown("a", 60), "1", 60), done(drawdown("a", 60), "2", 60)})
	second := history[1].Input.(request)
	second.card = "another"
	history[1].Input = second
	if got, _ := decide(history, time.Minute); got != porcupine.Ok {
		t.Errorf("two cards with a ref_id of the same name: %s", got)
	}
}

// What is found has to reach the report, with a picture of it.
func TestAnImpossibleHistoryIsReported(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := &linearizer{trial: &trial{Options: Options{Seed: 7, Dir: dir}}}
	h := &history{linearizer: l, number: 3, operations: sequence([]told{
		done(drawdown("a", 60), "1", 60), unanswered(pending("b", 40)), reads(100, 0, 0),
	})}
	l.count(h)
	if err := l.judge(h); err != nil {
		t.Fatal(err)
	}
	if l.Violated != 1 || l.seen.lost != 1 || l.Operations != 3 {
		t.Fatalf("%d violations, %d without an answer, %d operations", l.Violated, l.seen.lost, l.Operations)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.html"))
	if err != nil || len(files) != 1 {
		t.Fatalf("pictures: %v, %v", files, err)
	}
	picture, err := os.ReadFile(files[0])
	if err != nil || !strings.Contains(string(picture), "drawdown 60 as a") {
		t.Errorf("the picture does not show the request: %v", err)
	}
	if text := l.Violations[0]; !strings.Contains(text, files[0]) || !strings.Contains(text, "history 3 of seed 7") {
		t.Errorf("the report says %q", text)
	}
}
