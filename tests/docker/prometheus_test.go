package docker

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// promtool runs Prometheus's own checker: PROMTOOL, or the one on the path. The Go module of its configuration would bring
// the SDKs of three clouds, 600 MB and a minute.
func promtool(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	tool := os.Getenv("PROMTOOL")
	if tool == "" {
		tool = "promtool"
	}
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Fatalf("%v: set PROMTOOL, or install Debian's package prometheus", err)
	}
	output, err := exec.Command(path, arguments...).CombinedOutput()
	return string(output), err
}

// folder returns a copy of what Prometheus reads, with one thing changed in one file.
func folder(t *testing.T, file, from, to string) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"prometheus.yml", "rules.yml"} {
		text := read(t, "docker/"+name)
		if name == file {
			text = broken(t, text, from, to)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestPrometheusAcceptsItsFilesAndRefusesWrongOnes(t *testing.T) {
	if output, err := promtool(t, "check", "config", filepath.Join(root, "docker/prometheus.yml")); err != nil {
		t.Fatal(output)
	}
	for _, wrong := range [][3]string{
		{"prometheus.yml", "scrape_interval", "scrape_intervals"},
		{"prometheus.yml", "rules.yml", "rule.yml"},
		{"rules.yml", "expr: up{", "expr: up{{"},
		{"rules.yml", "annotations:", "annotation:"},
		{"rules.yml", "$labels.instance }}", "$labels.instance"},
	} {
		copied := folder(t, wrong[0], wrong[1], wrong[2])
		if output, err := promtool(t, "check", "config", filepath.Join(copied, "prometheus.yml")); err == nil {
			t.Errorf("%s was accepted: %s", wrong[2], output)
		}
	}
}

func TestEveryTargetIsAService(t *testing.T) {
	services := compose(t).Services
	for _, job := range scrapes(t) {
		for _, static := range job.StaticConfigs {
			for _, target := range static.Targets {
				host, _, _ := strings.Cut(target, ":")
				if _, known := services[host]; !known && host != "127.0.0.1" {
					t.Errorf("%s is no service", target)
				}
			}
		}
	}
}
