package docker

import (
	"strings"
	"testing"

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

// faults returns what is wrong with an expression as PromQL. Whether a worker has what it names is told by a live scrape
// (tests/cluster/tools/test_metrics.py).
func faults(text string) (faults []string) {
	tree, err := parser.ParseExpr(text)
	if err != nil {
		return []string{err.Error()}
	}
	metrics := 0
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		if _, is := node.(*parser.VectorSelector); is {
			metrics++
		}
		return nil
	})
	if metrics == 0 {
		faults = append(faults, "no metric is named")
	}
	return faults
}

func TestRulesArePromQLAndSayWhatTheyMean(t *testing.T) {
	for _, rule := range rules(t) {
		for _, fault := range faults(rule.Expr) {
			t.Errorf("%s: %s", rule.Alert, fault)
		}
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" || rule.Labels["severity"] == "" {
			t.Errorf("%s does not say what it means", rule.Alert)
		}
	}
}

func TestAWrongExpressionIsFound(t *testing.T) {
	if faults := faults(`sum by (lane) (hourseal_waiting{why="store"})`); len(faults) > 0 {
		t.Error(faults)
	}
	for _, wrong := range []string{`sum(`, `1 + 1`, `hourseal_waiting{why=store}`, `rate(hourseal_events_total)`} {
		if len(faults(wrong)) == 0 {
			t.Errorf("%s passed", wrong)
		}
	}
}
