package bench

import "fmt"

// workload is something that tills do over and over.
type workload struct {
	name, title string
	// turn is one round; it may be several requests.
	turn func(t *till) error
	// transactions tells whether each request is one transaction, which is what the
	// baseline does.
	transactions bool
}

// workloads lists what is measured. The first one starts with a new database, and its
// peak of memory is its own.
func workloads(cards int) []workload {
	anyCard := func(t *till) card { return t.cards[t.random.IntN(len(t.cards))] }
	return []workload{
		{
			name: "drawdown-spread", title: fmt.Sprintf("drawdown, %d cards", cards), transactions: true,
			turn: func(t *till) error { return t.drawdown(anyCard(t)) },
		},
		{
			name: "drawdown-hot", title: "drawdown, one hot card", transactions: true,
			turn: func(t *till) error { return t.drawdown(t.cards[0]) },
		},
		{
			name: "card", title: "get card",
			turn: func(t *till) error { return t.lookUp(anyCard(t)) },
		},
		{
			name: "mix", title: "mix: info, pending, capture",
			turn: func(t *till) error { return t.pay(anyCard(t)) },
		},
	}
}
