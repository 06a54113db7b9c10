package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/config"
)

// keysCmd is `kort keys`, and `kort data-key`, as it was called when there was one key.
type keysCmd struct {
	New     keysNewCmd     `cmd:"" help:"Write a new data key into a new file."`
	Rotate  keysRotateCmd  `cmd:"" help:"Put a new data key in front of those of a file."`
	Promote keysPromoteCmd `cmd:"" help:"Put the key to use that keys rotate --prepare has added."`
	List    keysListCmd    `cmd:"" help:"Show the ids of the keys in a file."`
}

// keysNewCmd is `kort keys new`.
type keysNewCmd struct {
	Out string `name:"out" required:"" placeholder:"FILE" help:"File to create; its owner alone may read it."`
}

// Help is the long help.
func (keysNewCmd) Help() string {
	return `A database belongs to the key it was first served with: without it none of its tokens and PINs can be found again. Keep a copy of the file apart from the copies of the database.`
}

// Run creates the file.
func (c *keysNewCmd) Run(term *terminal) error {
	err := createDataKey(c.Out)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already and is left as it is: a key that is replaced makes its database useless; "+
			"name another file, or put a new key beside it with: kort keys rotate", c.Out)
	}
	if err != nil {
		return err
	}
	term.notef("A new data key is in %s. Serve with it: %s", c.Out, config.Name("data-key-file"))
	return nil
}

// keyFileFlag names the file that a command works on.
type keyFileFlag struct {
	File string `name:"data-key-file" env:"KORT_DATA_KEY_FILE" required:"" placeholder:"FILE" help:"File with the data keys, as serve reads it."`
}

// keysRotateCmd is `kort keys rotate`.
type keysRotateCmd struct {
	keyFileFlag
	Prepare bool `name:"prepare" help:"Add the key as one to come, for several servers: they learn it first, and kort keys promote puts it to use."`
}

// Help is the long help.
func (keysRotateCmd) Help() string {
	return `New tokens and PINs are stored under the first key of a file; the others find what was stored before. Clear values are never stored, so nothing can be moved to a new key: no line may be removed for as long as the database is used.

One server: rotate, restart it.

Several servers on one PostgreSQL: rotate with --prepare, give each server the file and restart it; then promote, give each server the file and restart it again. A server that meets a database with a key it does not have refuses to start, or answers 503 if it runs already; with the two steps that happens to none. All of them must be of a version that knows kort keys. New PINs are stored under the new key at once; new tokens some minutes after the first server has come with it, when every other one has had to notice.

The file is replaced in one step: it has the old keys or the old ones and the new one, whatever happens.`
}

// Run adds a key to the file.
func (c *keysRotateCmd) Run(term *terminal) error {
	key, err := cardcode.NewKey()
	if err != nil {
		return fmt.Errorf("draw a data key: %w", err)
	}
	err = updateKeyFile(c.File, func(text string, keys cardcode.Keyring) (string, error) {
		if coming, is := keys.Coming(); is {
			return "", fmt.Errorf("%s has a key on its way already, %s; put it to use first: kort keys promote --data-key-file %s",
				c.File, coming.ID(), shellQuote(c.File))
		}
		if c.Prepare {
			return cardcode.WithComingKey(text, key), nil
		}
		return cardcode.WithNewKey(text, key), nil
	})
	if err != nil {
		return err
	}
	if c.Prepare {
		term.notef("%s has a new key to come, %s. Nothing is stored under it yet.\n%s"+
			"Give the file to every server and restart each of them. Then: kort keys promote --data-key-file %s",
			c.File, key.ID(), keepAll, shellQuote(c.File))
		return nil
	}
	term.notef("%s has a new current key, %s.\n%sRestart the server. Where several servers share a database, give the file to all of "+
		"them and restart them together: from the first restart on, those without the new key answer 503 "+
		"(kort keys rotate --prepare avoids that).", c.File, key.ID(), keepAll)
	return nil
}

// keepAll is what everyone has to know who has just changed a file of keys.
const keepAll = "Make a new backup of the file, apart from those of the database. " +
	"Keep its old lines: what was stored under them is found by them alone.\n"

// keysPromoteCmd is `kort keys promote`.
type keysPromoteCmd struct {
	keyFileFlag
}

// Help is the long help.
func (keysPromoteCmd) Help() string {
	return `The second step of a rotation with several servers, when each of them has been restarted with the file of the first.`
}

// Run makes the key to come the current one.
func (c *keysPromoteCmd) Run(term *terminal) error {
	var key cardcode.Key
	err := updateKeyFile(c.File, func(text string, keys cardcode.Keyring) (string, error) {
		key, _ = keys.Coming() // without one there is nothing to promote, which is said below
		return cardcode.WithPromotedKey(text)
	})
	if errors.Is(err, cardcode.ErrNoneComing) {
		return fmt.Errorf("%s: %w; add one with: kort keys rotate --prepare --data-key-file %s", c.File, err, shellQuote(c.File))
	}
	if err != nil {
		return err
	}
	term.notef("%s has a new current key, %s.\n%sGive the file to every server and restart each of them, one after the other.",
		c.File, key.ID(), keepAll)
	return nil
}

// keysListCmd is `kort keys list`.
type keysListCmd struct {
	keyFileFlag
}

// Run prints ids. They are what the log and the errors of a server name keys by.
func (c *keysListCmd) Run(term *terminal) error {
	_, keys, err := readKeyFile(c.File)
	if err != nil {
		return err
	}
	coming, isComing := keys.Coming()
	for i, key := range keys.All() {
		state := "old"
		switch {
		case i == 0:
			state = "current"
		case isComing && key.ID() == coming.ID():
			state = "next"
		}
		term.printf("%s %s\n", key.ID(), state)
	}
	return nil
}
