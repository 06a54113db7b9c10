package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/config"
)

// signingKeyCmd is `kort signing-key`.
type signingKeyCmd struct {
	New    signingKeyNewCmd    `cmd:"" help:"Write a new signing key into a new file."`
	Rotate signingKeyRotateCmd `cmd:"" help:"Add a signing key that takes over from the one before."`
	List   signingKeyListCmd   `cmd:"" help:"Show the ids of the keys in a file, and their times."`
}

// signingKeyNewCmd is `kort signing-key new`.
type signingKeyNewCmd struct {
	Out string `name:"out" required:"" placeholder:"FILE" help:"File to create; its owner alone may read it."`
}

// Run creates the file.
func (c *signingKeyNewCmd) Run(term *terminal) error {
	err := auth.CreateRing(c.Out)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already and is left as it is; name another file, or add a key to it with: kort signing-key rotate", c.Out)
	}
	if err != nil {
		return err
	}
	term.notef("A new signing key is in %s. Serve with it: %s", c.Out, config.Name("signing-key-file"))
	return nil
}

// signingKeyRotateCmd is `kort signing-key rotate`.
type signingKeyRotateCmd struct {
	config.SigningKeyRotate
}

// Help is the long help.
func (signingKeyRotateCmd) Help() string {
	return `The old key signs nothing any more, and stays among the public keys until the last of its tokens has expired. A server that runs on the file notices within seconds; no restart is needed.

Several servers with copies of the file: rotate with --in, and give each of them the changed file before the new key begins. Until then nothing changes but the public keys.`
}

// Run adds a key to the file.
func (c *signingKeyRotateCmd) Run(term *terminal) error {
	var fresh auth.RingEntry
	err := editKeyFile(c.File, func(target string) ([]byte, error) {
		ring, err := loadSigningKeys(target)
		if err != nil {
			return nil, err
		}
		now := time.Now()
		if ring, err = ring.Rotate(now, now.Add(c.In), c.Keep); err != nil {
			return nil, err
		}
		entries := ring.Entries()
		fresh = entries[len(entries)-1]
		return ring.Encode()
	})
	if err != nil {
		return err
	}
	term.notef("%s has a new key, %s, which signs from %s on. Tokens of the old one are accepted until %s.",
		c.File, fresh.ID, moment(fresh.From), moment(fresh.From.Add(c.Keep)))
	return nil
}

// signingKeyListCmd is `kort signing-key list`.
type signingKeyListCmd struct {
	config.SigningKeyFile
}

// Run prints ids, which are the kid of tokens, and times.
func (c *signingKeyListCmd) Run(term *terminal) error {
	ring, err := loadSigningKeys(c.File)
	if err != nil {
		return err
	}
	now := time.Now()
	signer, err := ring.Signer(now)
	for _, entry := range ring.Entries() {
		state := "old"
		switch {
		case err == nil && entry.ID == signer.ID():
			state = "signs"
		case entry.From.After(now):
			state = "next, from " + moment(entry.From)
		}
		if !entry.Until.IsZero() {
			state += ", accepted until " + moment(entry.Until)
		}
		term.printf("%s %s\n", entry.ID, state)
	}
	return err
}

func loadSigningKeys(path string) (auth.Ring, error) {
	ring, err := auth.LoadRing(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ring, fmt.Errorf("%s does not exist; make it with: kort signing-key new --out %s", path, shellQuote(path))
	}
	return ring, err
}

func moment(at time.Time) string { return at.UTC().Format(time.RFC3339) }
