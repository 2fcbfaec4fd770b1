// Claims about the files of docker/, read by the parsers that will read them for real.
//
// No container engine is needed, so nothing here shows that an image exists or that a service starts.
package docker

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// find returns what the pattern's first group matches in a file.
func find(t *testing.T, path, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(read(t, path))
	if found == nil {
		t.Fatalf("%s has nothing like %s", path, pattern)
	}
	return found[1]
}

// broken returns a text with one thing changed, for a control that must fail.
func broken(t *testing.T, text, from, to string) string {
	t.Helper()
	if !strings.Contains(text, from) {
		t.Fatalf("the control changes nothing: there is no %q", from)
	}
	return strings.Replace(text, from, to, 1)
}

// pinned says whether an image has a tag that does not follow releases.
func pinned(image string) bool {
	name := image[strings.LastIndex(image, "/")+1:]
	_, tag, tagged := strings.Cut(name, ":")
	return strings.Contains(image, "@sha256:") || tagged && tag != "" && tag != "latest"
}

func TestAnImageWithoutATagOrWithLatestIsNotPinned(t *testing.T) {
	for image, want := range map[string]bool{
		"a/b:1.2": true, "b:1": true, "a.io:5000/b:1": true, "b@sha256:00": true,
		"a/b": false, "a.io:5000/b": false, "b:latest": false, "b:": false,
	} {
		if pinned(image) != want {
			t.Errorf("%s: pinned is %t", image, !want)
		}
	}
}

func TestEveryFileHasATest(t *testing.T) {
	tested := []string{
		".gitignore", "README.md", // nothing parses them
		"compose.yaml", "hourseal.toml", // its values: `hourseal config check` in tests/it
		"Containerfile", "Containerfile.dockerignore", "prometheus.yml", "rules.yml",
		"grafana/dashboards/hourseal.json", "grafana/provisioning/dashboards/hourseal.yaml",
		"grafana/provisioning/datasources/prometheus.yaml",
	}
	known := map[string]bool{}
	for _, path := range tested {
		known[filepath.FromSlash(path)] = true
	}
	folder := filepath.Join(root, "docker")
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(folder, path)
		if entry.IsDir() && name == "secrets" {
			return filepath.SkipDir
		}
		if !entry.IsDir() && !known[name] {
			t.Errorf("docker/%s is not tested", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
