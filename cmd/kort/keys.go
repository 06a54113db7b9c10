package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/config"
)

// loadDataKeys finds the keys under which tokens and PINs are stored. Only a
// development server makes one that is missing.
func loadDataKeys(settings config.Serve) (cardcode.Keyring, error) {
	dir := dataDir(settings.DataDir)
	if settings.DataKey == "" && settings.DataKeyFile == "" {
		if err := createDataKey(dir.dataKeyFile()); err != nil && !errors.Is(err, fs.ErrExist) {
			return cardcode.Keyring{}, err
		}
	}
	return readDataKeys(settings.Secrets, dir)
}

// readDataKeys reads the keys that are given, or those that a development server has
// made in its directory.
func readDataKeys(settings config.Secrets, dir dataDir) (cardcode.Keyring, error) {
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
	_, keys, err := readKeyFile(dir.dataKeyFile())
	return keys, err
}

// openKeySource opens the keys of an issuer.
func openKeySource(issuer config.TrustedIssuer, log *slog.Logger) (*auth.KeySource, error) {
	options := auth.SourceOptions{Log: log}
	open := auth.FileKeys
	if issuer.HasKeyURL() {
		open = auth.URLKeys
	}
	source, err := open(issuer.Keys, options)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", config.Name(issuer.Setting), err)
	}
	return source, nil
}

// openSigningKeys opens the keys that a server signs its own tokens with; nil where it issues none. Only a development server makes
// one that is missing.
func openSigningKeys(settings config.Serve, log *slog.Logger) (*auth.SigningKeys, error) {
	file := settings.SigningKeyFile
	if settings.Dev {
		file = dataDir(settings.DataDir).signingKeyFile()
		if _, err := auth.OpenRing(file); err != nil {
			return nil, fmt.Errorf("signing key: %w", err)
		}
	}
	if file == "" {
		return nil, nil
	}
	keys, err := auth.FollowRing(file, time.Now, auth.SourceOptions{Log: log})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %s does not exist; make it with: kort signing-key new --out %s",
			config.Name("signing-key-file"), file, shellQuote(file))
	}
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return keys, nil
}
