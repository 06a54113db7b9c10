package main

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// versionCmd is `kort version`.
type versionCmd struct{}

// Run prints what the Go tool has noted in the binary.
func (versionCmd) Run(term *terminal) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	term.printf("kort %s\n", describe(info))
	return nil
}

// describe joins version, commit and platform.
func describe(info *debug.BuildInfo) string {
	settings := settingsOf(info)
	parts := []string{versionOf(info)}
	if revision := settings["vcs.revision"]; revision != "" {
		commit := "commit " + revision
		if settings["vcs.modified"] == "true" {
			commit += " with changes"
		}
		parts = append(parts, commit)
	}
	return strings.Join(append(parts, runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH), ", ")
}

func versionOf(info *debug.BuildInfo) string {
	if info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

func settingsOf(info *debug.BuildInfo) map[string]string {
	settings := make(map[string]string, len(info.Settings))
	for _, setting := range info.Settings {
		settings[setting.Key] = setting.Value
	}
	return settings
}
