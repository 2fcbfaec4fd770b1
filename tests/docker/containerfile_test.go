package docker

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// parseContainerfile returns the stages and what the linter says.
func parseContainerfile(text string) (stages []instructions.Stage, warnings []string, err error) {
	tree, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		return nil, nil, err
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, message string, _ []parser.Range) {
		warnings = append(warnings, rule+": "+message)
	}})
	stages, _, err = instructions.Parse(tree.AST, lint)
	return stages, warnings, err
}

func containerfile(t *testing.T) []instructions.Stage {
	t.Helper()
	stages, _, err := parseContainerfile(read(t, "docker/Containerfile"))
	if err != nil {
		t.Fatal(err)
	}
	return stages
}

func TestBuildKitAcceptsTheContainerfileAndRefusesAWrongOne(t *testing.T) {
	text := read(t, "docker/Containerfile")
	_, warnings, err := parseContainerfile(text)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	for _, wrong := range [][2]string{{"WORKDIR /build", "WORKDIRS /build"}, {"--from=build", "--fromm=build"}, {"FROM rust", "FORM rust"}} {
		if _, _, err := parseContainerfile(broken(t, text, wrong[0], wrong[1])); err == nil {
			t.Errorf("%s was accepted", wrong[1])
		}
	}
	if _, warnings, _ := parseContainerfile(broken(t, text, " AS build", " as build")); len(warnings) == 0 {
		t.Error("the linter is silent")
	}
}

func TestEveryStageStartsFromAPinnedImage(t *testing.T) {
	for _, stage := range containerfile(t) {
		if !pinned(stage.BaseName) {
			t.Error(stage.BaseName)
		}
	}
}

func TestTheLastStageIsDistrolessAndNotRoot(t *testing.T) {
	stages := containerfile(t)
	last := stages[len(stages)-1]
	if !strings.HasPrefix(last.BaseName, "gcr.io/distroless/") || !strings.HasSuffix(last.BaseName, ":nonroot") {
		t.Error(last.BaseName)
	}
	user, entrypoint, command := "", "", ""
	for _, step := range last.Commands {
		switch step := step.(type) {
		case *instructions.RunCommand:
			t.Error("there is no shell that could run something")
		case *instructions.UserCommand:
			user = step.User
		case *instructions.EntrypointCommand:
			entrypoint = strings.Join(step.CmdLine, " ")
		case *instructions.CmdCommand:
			command = strings.Join(step.CmdLine, " ")
		}
	}
	if worker := compose(t).Services["worker"]; user != "65532:65532" || worker.User != user {
		t.Errorf("the user is %q", user)
	}
	if !strings.HasSuffix(entrypoint, "/hourseal") || command != "run" {
		t.Errorf("it runs %s %s", entrypoint, command)
	}
}

func TestTheVersionInTheImageIsCargos(t *testing.T) {
	label, crate := find(t, "docker/Containerfile", `ARG VERSION=(\S+)`), find(t, "Cargo.toml", `(?m)^version = "([^"]+)"`)
	if label != crate {
		t.Errorf("%s is not %s", label, crate)
	}
}

// sentToBuilder says which paths the builder is sent.
func sentToBuilder(t *testing.T) func(path string) bool {
	t.Helper()
	patterns, err := ignorefile.ReadAll(strings.NewReader(read(t, "docker/Containerfile.dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return func(path string) bool {
		out, err := ignored.MatchesOrParentMatches(path)
		if err != nil {
			t.Fatal(err)
		}
		return !out
	}
}

func TestTheBuildersContextIsTheSourceAndNothingElse(t *testing.T) {
	sent := sentToBuilder(t)
	for _, path := range []string{"Cargo.toml", "Cargo.lock", "src/main.rs", "benches/pipeline/main.rs"} {
		if !sent(path) {
			t.Errorf("%s is missing", path)
		}
	}
	for _, path := range []string{
		".git/config", "target/release/hourseal", "tests/.cache/x", "hourseal-root.key", "hourseal-kek/vault",
		"hourseal-data/keys.db", "docker/secrets/grafana-admin", "README.md",
	} {
		if sent(path) {
			t.Errorf("%s is sent", path)
		}
	}
}

func TestWhatTheSourceIncludesIsSent(t *testing.T) {
	sent, include := sentToBuilder(t), regexp.MustCompile(`include_(?:str|bytes)!\("([^"]+)"\)`)
	count := 0
	err := filepath.WalkDir(filepath.Join(root, "src"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".rs" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, found := range include.FindAllStringSubmatch(string(text), -1) {
			count++
			included, _ := filepath.Rel(root, filepath.Join(filepath.Dir(path), found[1]))
			if !sent(included) {
				t.Errorf("%s is missing, which %s includes", included, path)
			}
		}
		return nil
	})
	if err != nil || count == 0 {
		t.Fatal(err, count)
	}
}
