package bench

import "fmt"

// workload is something that tills do over and over.
type workload struct {
	name, title string
	// turn is one round; it may be several requests.
	turn func(t *till) error
	// tills is how many work at the same time; 0 for all.
	tills int
}

// interactiveTills is the number of connections at which latencies are an interactive user's.
const interactiveTills = 8

func anyCard(t *till) card { return t.cards[t.random.IntN(len(t.cards))] }

// What tills do.
func spreadWorkload(cards int) workload {
	return workload{
		name: "drawdown-spread", title: fmt.Sprintf("drawdown, %d cards", cards),
		turn: func(t *till) error { return t.drawdown(anyCard(t)) },
	}
}

func fewWorkload(cards int) workload {
	w := spreadWorkload(cards)
	w.name, w.title, w.tills = "drawdown-few", fmt.Sprintf("%s, %d connections", w.title, interactiveTills), interactiveTills
	return w
}

func hotWorkload() workload {
	return workload{
		name: "drawdown-hot", title: "drawdown, one hot card",
		turn: func(t *till) error { return t.drawdown(t.cards[0]) },
	}
}

func accountsWorkload(accounts, cards int) workload {
	return workload{
		name: "drawdown-accounts", title: fmt.Sprintf("drawdown, %d accounts of %d cards", accounts, cards),
		turn: func(t *till) error { return t.drawdownElsewhere(cards) },
	}
}

func readWorkload() workload {
	return workload{name: "card", title: "get card", turn: func(t *till) error { return t.lookUp(anyCard(t)) }}
}

func mixWorkload() workload {
	return workload{name: "mix", title: "mix: info, pending, capture", turn: func(t *till) error { return t.pay(anyCard(t)) }}
}

func loneWorkload(name, title string) workload {
	return workload{name: name, title: title, tills: 1, turn: func(t *till) error { return t.drawdown(anyCard(t)) }}
}

func postWorkload(name, title string) workload {
	return workload{name: name, title: title, turn: func(t *till) error { return t.post() }}
}
