// Package kortest starts a sandbox for the Go tests of a client of the cards API:
//
//	func TestSale(t *testing.T) {
//		account := kortest.Start(t).NewAccount()
//		account.Fault(kortest.LostAnswer("aid_cards_transactions_post"))
//		// … account.URL, account.ID and account.Token are what the client under test needs.
//		account.Advance(365 * 24 * time.Hour)
//	}
//
// Purpose: what the control API of the sandbox can do, in the words of a test. A step that fails ends the test and says why.
//
// Non-goals: tests of Kort itself, which talk HTTP; and a client for anything but tests.
//
// The surprising decision: nothing here is a double. The server is the one that retailers run, with its database on disk, in the
// test's own process or as a program.
package kortest
