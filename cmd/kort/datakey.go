package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/kortwallet/kort/pkg/config"
)

// dataKeyCmd is `kort data-key`.
type dataKeyCmd struct {
	New dataKeyNewCmd `cmd:"" help:"Write a new data key into a new file."`
}

// dataKeyNewCmd is `kort data-key new`.
type dataKeyNewCmd struct {
	Out string `name:"out" required:"" placeholder:"FILE" help:"File to create; its owner alone may read it."`
}

// Help is the long help.
func (dataKeyNewCmd) Help() string {
	return `A database belongs to the key it was first served with: without it none of its tokens and PINs can be found again. Keep a copy of the file apart from the copies of the database.`
}

// Run creates the file.
func (c *dataKeyNewCmd) Run(term *terminal) error {
	err := createDataKey(c.Out)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already and is left as it is: a key that is replaced makes its database useless; name another file", c.Out)
	}
	if err != nil {
		return err
	}
	term.notef("A new data key is in %s. Serve with it: %s", c.Out, config.Name("data-key-file"))
	return nil
}
