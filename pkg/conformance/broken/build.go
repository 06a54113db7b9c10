package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// envFault names the fault that the test build has, in its environment.
const envFault = "KORT_BROKEN"

// switchboard is a file for each package that has faults.
const switchboard = `package %s

import "os"

var fault = os.Getenv(%q)

func faulty(name string) bool { return fault == name }
`

var errAnchor = errors.New("the line that a fault changes is not there exactly once")

// build builds the server with all faults in it.
func build(ctx context.Context, dir string) (program string, err error) {
	root, err := projectRoot(ctx)
	if err != nil {
		return "", err
	}
	overlay, err := writeOverlay(root, dir)
	if err != nil {
		return "", err
	}
	program = filepath.Join(dir, "kort")
	command := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", program, "./cmd/kort") //nolint:gosec // our own files
	command.Dir = root
	if said, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the wrong servers: %w\n%s", err, said)
	}
	return program, nil
}

// projectRoot is where go.mod is.
func projectRoot(ctx context.Context) (string, error) {
	file, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the project: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(file))), nil
}

// writeOverlay writes the changed files, and the list of what they stand for.
func writeOverlay(root, dir string) (string, error) {
	changed, err := changedFiles(root)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for file, text := range changed {
		at := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, filepath.FromSlash(file))] = at
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}

// changedFiles are the sources with all faults in them, and the switchboards.
func changedFiles(root string) (map[string]string, error) {
	changed := map[string]string{}
	for _, f := range faults {
		text, read := changed[f.file]
		if !read {
			source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(f.file)))
			if err != nil {
				return nil, fmt.Errorf("read the source for %s: %w", f.name, err)
			}
			text = string(source)
			if wanted := imports[f.file]; wanted != "" {
				text = strings.Replace(text, "import (\n", fmt.Sprintf("import (\n\t%q\n", wanted), 1)
			}
			dir := path.Dir(f.file)
			changed[dir+"/switchboard_of_faults.go"] = fmt.Sprintf(switchboard, path.Base(dir), envFault)
		}
		if strings.Count(text, f.old) != 1 {
			return nil, fmt.Errorf("%s in %s: %w", f.name, f.file, errAnchor)
		}
		changed[f.file] = strings.Replace(text, f.old, f.new, 1)
	}
	return changed, nil
}
