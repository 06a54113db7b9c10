package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// draft is a file on its way to its name. It has another one beside it until it is
// complete, so that whoever finds the name finds all of the file.
type draft struct {
	path  string // the other name
	final string
}

// besideDatabase are the endings of the files that SQLite keeps beside a database.
// Another database's would be taken for its own, and destroy it.
var besideDatabase = []string{"-wal", "-shm", "-journal"}

// newDraft makes an empty file for its owner alone. A final name that is taken is
// refused at once, and again in the end.
func newDraft(final string) (*draft, error) {
	if _, err := os.Lstat(final); err == nil {
		return nil, errTaken(final)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	file, err := os.CreateTemp(filepath.Dir(final), "."+filepath.Base(final)+".incomplete-*") // mode 0600
	if err != nil {
		return nil, err
	}
	d := &draft{path: file.Name(), final: final}
	if err := file.Close(); err != nil {
		return nil, errors.Join(err, d.discard())
	}
	return d, nil
}

func errTaken(name string) error {
	return fmt.Errorf("%s exists already and is left as it is: name another file", name)
}

// publish puts the file on the disk and gives it its name.
func (d *draft) publish() error {
	if err := syncPath(d.path); err != nil {
		return err
	}
	// A link, unlike a rename, does not replace what is there; but not every file
	// system has links.
	err := os.Link(d.path, d.final)
	if errors.Is(err, fs.ErrExist) {
		return errTaken(d.final)
	}
	if err == nil {
		err = os.Remove(d.path)
	} else {
		err = os.Rename(d.path, d.final)
	}
	if err != nil {
		return err
	}
	return syncPath(filepath.Dir(d.final))
}

// discard removes what is there under the other name, with what SQLite keeps beside a
// database. Of a file that was published there is nothing any more.
func (d *draft) discard() error {
	var failures []error
	for _, ending := range append([]string{""}, besideDatabase...) {
		if err := os.Remove(d.path + ending); !errors.Is(err, fs.ErrNotExist) {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// syncPath puts what a file or a directory holds on the disk.
func syncPath(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
