package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/cardcode"
)

// readKeyFile reads a file of data keys, also as the text it is.
func readKeyFile(path string) (string, cardcode.Keyring, error) {
	content, err := auth.ReadSecretFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", cardcode.Keyring{}, fmt.Errorf("%s does not exist; make a new key with: kort keys new --out %s", path, path)
	}
	if err != nil {
		return "", cardcode.Keyring{}, fmt.Errorf("data key: %w", err)
	}
	keys, err := cardcode.ParseKeyring(string(content))
	if err != nil {
		return "", keys, fmt.Errorf("data key %s: %w", path, err)
	}
	return string(content), keys, nil
}

// createDataKey writes a new key into a new file; fs.ErrExist says that the file is
// there already.
func createDataKey(path string) error {
	key, err := cardcode.NewKey()
	if err != nil {
		return fmt.Errorf("draw a data key: %w", err)
	}
	if err := auth.CreateSecretFile(path, []byte(key.Reveal()+"\n")); err != nil {
		return fmt.Errorf("data key: %w", err)
	}
	return nil
}

// errKeyFileBusy says that two commands would change a file of keys at once: the second
// would undo the first, and a key would be lost.
var errKeyFileBusy = errors.New("another command is changing the file; try again")

// updateKeyFile replaces a file of data keys by what edit makes of it, unless a key of
// it would be lost.
func updateKeyFile(path string, edit func(text string, keys cardcode.Keyring) (string, error)) error {
	return editKeyFile(path, func(target string) ([]byte, error) {
		text, before, err := readKeyFile(target)
		if err != nil {
			return nil, err
		}
		if text, err = edit(text, before); err != nil {
			return nil, err
		}
		after, err := cardcode.ParseKeyring(text)
		if err != nil {
			return nil, fmt.Errorf("%s would not be a file of keys any more: %w", path, err)
		}
		for _, key := range before.All() {
			if _, kept := after.Key(key.ID()); !kept {
				return nil, fmt.Errorf("%s would lose key %s", path, key.ID())
			}
		}
		return []byte(strings.TrimRight(text, "\n") + "\n"), nil
	})
}

// editKeyFile replaces a file by what edit makes of it, in one step and while no other
// command does the same. An edit is tried before the file is locked, so that it can say
// what is wrong with the file.
func editKeyFile(path string, edit func(target string) ([]byte, error)) (err error) {
	target, err := filepath.EvalSymlinks(path) // a rename would replace the link
	if errors.Is(err, fs.ErrNotExist) {
		target = path // said by edit, in words that help
	} else if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	if _, err := edit(target); err != nil {
		return err
	}
	unlock, err := lockKeyFile(target)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	content, err := edit(target)
	if err != nil {
		return err
	}
	if err := auth.ReplaceSecretFile(target, content); err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	return nil
}

// lockKeyFile keeps a file of keys to this process until unlock.
func lockKeyFile(path string) (unlock func() error, err error) {
	before, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	lock := flock.New(path, flock.SetFlag(os.O_RDWR))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if !locked {
		return nil, errKeyFileBusy
	}
	// What is locked may be what the file was a moment ago.
	after, err := os.Stat(path)
	if err != nil || !os.SameFile(before, after) {
		return nil, errors.Join(errKeyFileBusy, err, lock.Unlock())
	}
	return lock.Unlock, nil
}
