package auth

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

const (
	// othersMask are the permission bits of group and others.
	othersMask = 0o077
	// maxSecretFileBytes is more than any key takes.
	maxSecretFileBytes = 16 << 10
)

var (
	// ErrReadableByOthers says that the permissions of a secret file are too wide.
	ErrReadableByOthers = errors.New("secret file is open to group or others; expected mode 0600 (chmod 600)")

	errNoPlainFile   = errors.New("secret file is no regular file")
	errSecretTooLong = errors.New("secret file is too long")
)

// CreateSecretFile writes a new file that its owner alone may read. It appears complete or not at all; when the name is taken,
// by another process a moment ago perhaps, the error is fs.ErrExist and the file there is untouched.
func CreateSecretFile(path string, content []byte) (err error) {
	// os.CreateTemp makes files of mode 0600.
	draft, err := os.CreateTemp(filepath.Dir(path), ".new-secret-*")
	if err != nil {
		return fmt.Errorf("create secret file: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(draft.Name())) }()
	_, err = draft.Write(content)
	if err == nil {
		err = draft.Sync()
	}
	if err = errors.Join(err, draft.Close()); err != nil {
		return fmt.Errorf("write secret file: %w", err)
	}
	// A link, unlike a rename, does not replace what is there.
	if err = os.Link(draft.Name(), path); err != nil {
		return fmt.Errorf("create secret file: %w", err)
	}
	return syncDirectory(filepath.Dir(path))
}

// ReplaceSecretFile puts new content into the place of a secret file in one step: whoever reads it, at whatever moment, and after
// whatever accident, finds the one or the other complete. It stays its owner's, who alone may read it.
func ReplaceSecretFile(path string, content []byte) error {
	if len(content) > maxSecretFileBytes {
		return fmt.Errorf("%s: %w", path, errSecretTooLong)
	}
	draft, err := os.CreateTemp(filepath.Dir(path), ".new-secret-*") // mode 0600
	if err != nil {
		return fmt.Errorf("replace secret file: %w", err)
	}
	err = giveToOwnerOf(path, draft)
	if err == nil {
		_, err = draft.Write(content)
	}
	if err == nil {
		err = draft.Sync()
	}
	if err = errors.Join(err, draft.Close()); err == nil {
		err = os.Rename(draft.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("replace secret file: %w", err), os.Remove(draft.Name()))
	}
	return syncDirectory(filepath.Dir(path))
}

// giveToOwnerOf gives a file to the owner of another: what the superuser writes, a server could not read any more.
func giveToOwnerOf(path string, file *os.File) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	if !known || int(owner.Uid) == os.Geteuid() {
		return nil
	}
	return file.Chown(int(owner.Uid), int(owner.Gid))
}

// ReadSecretFile reads a file of CreateSecretFile. A file that group or others may touch is ErrReadableByOthers: whoever could read it
// may have kept the key.
func ReadSecretFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read secret file: %w", err)
	}
	defer file.Close()
	// The opened file is asked, not the name: the name may point elsewhere a moment later.
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read secret file: %w", err)
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: %w", path, errNoPlainFile)
	case info.Mode().Perm()&othersMask != 0:
		return nil, fmt.Errorf("%s: %w", path, ErrReadableByOthers)
	case info.Size() > maxSecretFileBytes:
		return nil, fmt.Errorf("%s: %w", path, errSecretTooLong)
	}
	content, err := io.ReadAll(io.LimitReader(file, maxSecretFileBytes))
	if err != nil {
		return nil, fmt.Errorf("read secret file: %w", err)
	}
	return content, nil
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync directory of secret file: %w", err)
	}
	if err := errors.Join(directory.Sync(), directory.Close()); err != nil {
		return fmt.Errorf("sync directory of secret file: %w", err)
	}
	return nil
}
