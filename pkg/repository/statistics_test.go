package repository

import (
	"testing"
	"time"
)

// Each table counts by itself: the first holds of a database with very many cards would
// otherwise be planned for as if there were none, until PostgreSQL looks by itself.
func TestStatisticsOfEachTable(t *testing.T) {
	t.Parallel()
	s := recallStore(t) // has made a card, and posted a transaction to it
	for table, want := range map[string]int64{"cards": 1, "transactions": 1, "holds": 0, "tokens": 0} {
		if n := s.statistics.rows[table].Load(); n != want {
			t.Errorf("%s: %d rows, want %d", table, n, want)
		}
	}
	looked := func(table string) (n int64) {
		t.Helper()
		const text = "SELECT analyze_count FROM pg_stat_user_tables WHERE relname = $1"
		if err := s.write.DB.QueryRowContext(t.Context(), text, table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	holds, transactions := looked("holds"), looked("transactions")
	s.grown([]insertion{{"transactions", 10}, {"holds", firstStatistics - 1}})
	s.grown([]insertion{{"transactions", 10}, {"holds", 1}})
	for end := time.Now().Add(10 * time.Second); looked("holds") == holds; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody has looked at the table that has grown")
		}
	}
	if n := looked("transactions"); n != transactions {
		t.Errorf("transactions were looked at %d times, and they have hardly grown", n-transactions)
	}
}
