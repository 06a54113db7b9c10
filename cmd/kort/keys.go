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

// loadDataKeys finds the keys under which tokens and PINs are stored. Only a
// development server makes one that is missing.
func loadDataKeys(settings config.Serve) (cardcode.Keyring, error) {
	dir := dataDir(settings.DataDir)
	switch {
	case settings.DataKey != "":
		keys, err := cardcode.ParseKeyList(settings.DataKey.Reveal())
		if err != nil {
			return keys, fmt.Errorf("%s: %w", config.EnvDataKey, err)
		}
		return keys, nil
	case settings.DataKeyFile != "":
		_, keys, err := readKeyFile(settings.DataKeyFile)
		if err != nil {
			return keys, fmt.Errorf("%s: %w", config.Name("data-key-file"), err)
		}
		return keys, nil
	}
	if err := createDataKey(dir.dataKeyFile()); err != nil && !errors.Is(err, fs.ErrExist) {
		return cardcode.Keyring{}, err
	}
	_, keys, err := readKeyFile(dir.dataKeyFile())
	return keys, err
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
