// Package envoytest gives tests a real Envoy and the control plane it talks to.
//
// StartEnvoy runs an Envoy on free loopback ports against an ADS server in the
// test's own process, and stops it with the test. StartScene does so with a
// configuration that shows everything a debugger must be able to see: resources
// that are static, active, warming, draining and rejected, of every kind.
package envoytest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// cachedEnvoy is where .ci/envoy installs Envoy, under the user's cache folder.
const cachedEnvoy = "meshlark/envoy-1.40.0/envoy"

// Find gives the absolute path of an Envoy binary: the one that MESHLARK_ENVOY names,
// else the envoy on PATH, else the one that .ci/envoy installed into the cache
// folder. The error says how to get one.
func Find() (string, error) {
	if named := os.Getenv("MESHLARK_ENVOY"); named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return "", fmt.Errorf("find the Envoy that MESHLARK_ENVOY names: %w; set it to the path of one, or unset it to have one looked for", err)
		}
		return filepath.Abs(path)
	}
	if path, err := exec.LookPath("envoy"); err == nil {
		return filepath.Abs(path)
	}
	if cache := cacheFolder(); cache != "" {
		if path, err := exec.LookPath(filepath.Join(cache, cachedEnvoy)); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", errors.New("find an Envoy: none on PATH nor in the cache folder; run .ci/envoy, which installs one, or set MESHLARK_ENVOY to the path of one")
}

// cacheFolder follows the rule of .ci/envoy, on every system: os.UserCacheDir
// has another rule on macOS.
func cacheFolder() string {
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		return dir
	}
	if home := os.Getenv("HOME"); home != "" {
		return filepath.Join(home, ".cache")
	}
	return ""
}

// Need gives the path of an Envoy binary, as Find does. Without one it skips
// the test, or fails it where CI is set: there a skipped test proves nothing.
func Need(t testing.TB) string {
	t.Helper()
	path, err := Find()
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") != "":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
	return ""
}
