package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/config"
)

// loadDataKey finds the key under which tokens and PINs are stored. Only a
// development server makes one that is missing.
func loadDataKey(settings config.Serve) (cardcode.Key, error) {
	dir := dataDir(settings.DataDir)
	switch {
	case settings.DataKey != "":
		key, err := cardcode.ParseKey(settings.DataKey.Reveal())
		if err != nil {
			return key, fmt.Errorf("%s: %w", config.EnvDataKey, err)
		}
		return key, nil
	case settings.DataKeyFile != "":
		key, err := readDataKey(settings.DataKeyFile)
		if err != nil {
			return key, fmt.Errorf("%s: %w", config.Name("data-key-file"), err)
		}
		return key, nil
	}
	if err := createDataKey(dir.dataKeyFile()); err != nil && !errors.Is(err, fs.ErrExist) {
		return cardcode.Key{}, err
	}
	return readDataKey(dir.dataKeyFile())
}

func readDataKey(path string) (cardcode.Key, error) {
	content, err := auth.ReadSecretFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return cardcode.Key{}, fmt.Errorf("%s does not exist; make a new key with: kort data-key new --out %s", path, path)
	}
	if err != nil {
		return cardcode.Key{}, fmt.Errorf("data key: %w", err)
	}
	key, err := cardcode.ParseKey(string(content))
	if err != nil {
		return key, fmt.Errorf("data key %s: %w", path, err)
	}
	return key, nil
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

// openKeySource opens the issuer's keys as the configuration says.
func openKeySource(settings config.Identity, log *slog.Logger) (*auth.KeySource, error) {
	options := auth.SourceOptions{Log: log}
	open := auth.FileKeys
	if settings.HasKeyURL() {
		open = auth.URLKeys
	}
	source, err := open(settings.JWKS, options)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", config.Name("jwks"), err)
	}
	return source, nil
}

// localKeySource makes a source of a development server's own key.
func localKeySource(key *auth.LocalKey) (*auth.KeySource, error) {
	document, err := key.JWKS()
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	source, err := auth.StaticKeys(document)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return source, nil
}
