package bench

import (
	"strings"
	"testing"
)

const pgbenchSaid = `pgbench (15.18)
transaction type: drawdown.sql
number of clients: 64
number of threads: 2
maximum number of tries: 1
duration: 4 s
number of transactions actually processed: 7095
number of failed transactions: 0 (0.000%)
latency average = 33.002 ms
initial connection time = 700.976 ms
tps = 1939.252075 (without initial connection time)
`

func TestParsePgbench(t *testing.T) {
	t.Parallel()
	f, err := parsePgbench(pgbenchSaid)
	if err != nil || f.Requests != 7095 || f.PerSecond != 1939.252075 || f.MeanMicros != 33002 || f.Seconds < 3.6 || f.Seconds > 3.7 {
		t.Errorf("got %+v, %v", f, err)
	}
	for _, change := range [][2]string{
		{"failed transactions: 0", "failed transactions: 3"},
		{"processed: 7095", "processed: 0"},
		{"tps = 1939.252075", "tps = many"},
		{"latency average", "latency"},
	} {
		if f, err := parsePgbench(strings.Replace(pgbenchSaid, change[0], change[1], 1)); err == nil {
			t.Errorf("%s: got %+v and no error", change[1], f)
		}
	}
}
