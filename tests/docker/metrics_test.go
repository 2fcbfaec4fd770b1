package docker

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v4"
)

type rule struct {
	Alert       string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

type scrape struct {
	JobName       string `yaml:"job_name"`
	StaticConfigs []struct {
		Targets []string
	} `yaml:"static_configs"`
}

// strict decodes YAML and refuses unknown keys.
func strict(text string, into any) error {
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	return decoder.Decode(into)
}

func rules(t *testing.T) []rule {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []rule
		}
	}
	if err := strict(read(t, "docker/rules.yml"), &file); err != nil {
		t.Fatal(err)
	}
	return file.Groups[0].Rules
}

func scrapes(t *testing.T) []scrape {
	t.Helper()
	var file struct {
		Global        map[string]string
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []scrape `yaml:"scrape_configs"`
	}
	if err := strict(read(t, "docker/prometheus.yml"), &file); err != nil {
		t.Fatal(err)
	}
	return file.ScrapeConfigs
}

// telemetry is what src/telemetry registers: the labels of each metric, and every string literal.
type telemetry struct {
	labels   map[string][]string
	literals map[string]bool
}

func measured(t *testing.T) telemetry {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "src/telemetry/*.rs"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no source", err)
	}
	found := telemetry{map[string][]string{}, map[string]bool{}}
	metric := regexp.MustCompile(`family\s*\.\s*(\w+)\(\s*"([a-z_]+)",\s*"[^"]*"(?:,\s*&\[([^\]]*)\])?`)
	literal := regexp.MustCompile(`"([a-z_-]+)"`)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range metric.FindAllStringSubmatch(string(text), -1) {
			names := []string{}
			for _, label := range literal.FindAllStringSubmatch(match[3], -1) {
				names = append(names, label[1])
			}
			name := "hourseal_" + match[2]
			if !strings.HasPrefix(match[1], "histogram") {
				found.labels[name] = names
				continue
			}
			found.labels[name+"_bucket"] = append(slices.Clone(names), "le")
			found.labels[name+"_sum"], found.labels[name+"_count"] = names, names
		}
		for _, match := range literal.FindAllStringSubmatch(string(text), -1) {
			found.literals[match[1]] = true
		}
	}
	return found
}

// faults returns what is wrong with an expression: not PromQL, or a metric, label or value that the source does not have.
func (known telemetry) faults(text string) (faults []string) {
	tree, err := parser.ParseExpr(text)
	if err != nil {
		return []string{err.Error()}
	}
	metrics := 0
	has := func(name, label string) bool {
		scraped := label == "instance" || label == "job"
		return scraped || slices.Contains(known.labels[name], label)
	}
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		switch node := node.(type) {
		case *parser.VectorSelector:
			metrics++
			name := node.Name
			if _, ours := known.labels[name]; !ours && name != "up" && !strings.HasPrefix(name, "scylla_") {
				faults = append(faults, "src/telemetry has no "+name)
				return nil
			}
			for _, match := range node.LabelMatchers {
				if match.Name != labels.MetricName && strings.HasPrefix(name, "hourseal_") {
					faults = append(faults, known.wrongMatch(name, match, has)...)
				}
			}
		case *parser.AggregateExpr:
			for _, name := range selected(node.Expr) {
				for _, label := range node.Grouping {
					if strings.HasPrefix(name, "hourseal_") && !has(name, label) {
						faults = append(faults, fmt.Sprintf("%s has no label %s", name, label))
					}
				}
			}
		}
		return nil
	})
	if metrics == 0 {
		faults = append(faults, "no metric is named")
	}
	return faults
}

func (known telemetry) wrongMatch(name string, match *labels.Matcher, has func(string, string) bool) (faults []string) {
	if !has(name, match.Name) {
		return []string{fmt.Sprintf("%s has no label %s", name, match.Name)}
	}
	if match.Name == "instance" || match.Name == "job" {
		return nil
	}
	for value := range strings.SplitSeq(match.Value, "|") {
		if !known.literals[value] {
			faults = append(faults, fmt.Sprintf("src/telemetry knows no %s %q", match.Name, value))
		}
	}
	return faults
}

func selected(tree parser.Node) (names []string) {
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		if selector, is := node.(*parser.VectorSelector); is {
			names = append(names, selector.Name)
		}
		return nil
	})
	return names
}

func TestRulesNameWhatTheSourceMeasures(t *testing.T) {
	known := measured(t)
	for _, rule := range rules(t) {
		for _, fault := range known.faults(rule.Expr) {
			t.Errorf("%s: %s", rule.Alert, fault)
		}
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" || rule.Labels["severity"] == "" {
			t.Errorf("%s does not say what it means", rule.Alert)
		}
	}
}

func TestAWrongExpressionIsFound(t *testing.T) {
	known := measured(t)
	if faults := known.faults(`sum by (lane) (hourseal_waiting{why="store"})`); len(faults) > 0 {
		t.Error(faults)
	}
	for _, wrong := range []string{
		`sum(`, `1 + 1`, `hourseal_event_total`, `sum by (lanes) (hourseal_waiting)`, `hourseal_waiting{wy="store"}`,
		`hourseal_waiting{why="stor"}`, `hourseal_seal_batch_duration_seconds`, `sum by (le) (hourseal_events_total)`,
	} {
		if len(known.faults(wrong)) == 0 {
			t.Errorf("%s passed", wrong)
		}
	}
}
