package docker

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// The parts of a dashboard that are used. Unknown keys are refused: Grafana would pass over a misspelt one in silence.
type dashboard struct {
	UID           string   `json:"uid"`
	Title         string   `json:"title"`
	Tags          []string `json:"tags"`
	SchemaVersion int      `json:"schemaVersion"`
	Version       int      `json:"version"`
	Editable      bool     `json:"editable"`
	GraphTooltip  int      `json:"graphTooltip"`
	Refresh       string   `json:"refresh"`
	Timezone      string   `json:"timezone"`
	Time          struct {
		From string `json:"from"`
		To   string `json:"to"`
	} `json:"time"`
	Templating struct {
		List []variable `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []any `json:"list"`
	} `json:"annotations"`
	Links  []any   `json:"links"`
	Panels []panel `json:"panels"`
}

type reference struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type variable struct {
	Name       string            `json:"name"`
	Label      string            `json:"label"`
	Type       string            `json:"type"`
	Query      string            `json:"query"`
	Datasource *reference        `json:"datasource"`
	Current    map[string]string `json:"current"`
	Refresh    int               `json:"refresh"`
	IncludeAll bool              `json:"includeAll"`
	Multi      bool              `json:"multi"`
	AllValue   string            `json:"allValue"`
	Hide       int               `json:"hide"`
}

type panel struct {
	ID          int        `json:"id"`
	Type        string     `json:"type"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Collapsed   bool       `json:"collapsed"`
	Datasource  *reference `json:"datasource"`
	GridPos     struct {
		H int `json:"h"`
		W int `json:"w"`
		X int `json:"x"`
		Y int `json:"y"`
	} `json:"gridPos"`
	FieldConfig struct {
		Defaults struct {
			Unit       string         `json:"unit"`
			Min        float64        `json:"min"`
			Color      map[string]any `json:"color"`
			Custom     map[string]any `json:"custom"`
			Thresholds map[string]any `json:"thresholds"`
		} `json:"defaults"`
		Overrides []any `json:"overrides"`
	} `json:"fieldConfig"`
	Options map[string]any `json:"options"`
	Targets []target       `json:"targets"`
	Panels  []panel        `json:"panels"`
}

type target struct {
	RefID        string     `json:"refId"`
	Datasource   *reference `json:"datasource"`
	Expr         string     `json:"expr"`
	LegendFormat string     `json:"legendFormat"`
}

type sources struct {
	APIVersion  int `yaml:"apiVersion"`
	Datasources []struct {
		Name, UID, Type, Access, URL string
		IsDefault                    bool              `yaml:"isDefault"`
		Editable                     bool              `yaml:"editable"`
		JSONData                     map[string]string `yaml:"jsonData"`
	}
}

type providers struct {
	APIVersion int `yaml:"apiVersion"`
	Providers  []struct {
		Name, Type      string
		DisableDeletion bool `yaml:"disableDeletion"`
		AllowUIUpdates  bool `yaml:"allowUiUpdates"`
		Options         struct{ Path string }
	}
}

func parseDashboard(text string) (parsed dashboard, err error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	return parsed, decoder.Decode(&parsed)
}

func board(t *testing.T) dashboard {
	t.Helper()
	parsed, err := parseDashboard(read(t, "docker/grafana/dashboards/hourseal.json"))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestTheDashboardHasNoMisspeltKey(t *testing.T) {
	parsed := board(t)
	if parsed.UID != "hourseal" || len(parsed.Panels) < 20 {
		t.Errorf("uid %s, %d panels", parsed.UID, len(parsed.Panels))
	}
	text := read(t, "docker/grafana/dashboards/hourseal.json")
	if _, err := parseDashboard(broken(t, text, `"legendFormat"`, `"legendFromat"`)); err == nil {
		t.Error("a misspelt key was accepted")
	}
}

func TestEveryPanelIsWhole(t *testing.T) {
	parsed := board(t)
	legend := regexp.MustCompile(`\{\{(\w+)\}\}`)
	for _, panel := range parsed.Panels {
		if panel.Type == "row" {
			continue
		}
		if len(panel.Targets) == 0 || panel.Description == "" || panel.FieldConfig.Defaults.Unit == "" {
			t.Errorf("%s lacks a query, a description or a unit", panel.Title)
		}
		if panel.Datasource == nil || panel.Datasource.UID != "${datasource}" {
			t.Errorf("%s does not use the data source variable", panel.Title)
		}
		for _, target := range panel.Targets {
			if target.Datasource == nil || target.Datasource.UID != "${datasource}" || !strings.Contains(target.Expr, `instance=~"$instance"`) {
				t.Errorf("%s does not use the variables", panel.Title)
			}
			text := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*").Replace(target.Expr)
			for _, fault := range faults(text) {
				t.Errorf("%s: %s", panel.Title, fault)
			}
			for _, label := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !regexp.MustCompile(`by \([^)]*\b` + label[1] + `\b`).MatchString(target.Expr) {
					t.Errorf("%s: the legend's %s is summed away", panel.Title, label[1])
				}
			}
		}
	}
}

func TestPanelsDoNotOverlap(t *testing.T) {
	taken, ids := map[[2]int]string{}, map[int]bool{}
	for _, panel := range board(t).Panels {
		if ids[panel.ID] {
			t.Errorf("id %d is used twice", panel.ID)
		}
		ids[panel.ID] = true
		for x := panel.GridPos.X; x < panel.GridPos.X+panel.GridPos.W; x++ {
			for y := panel.GridPos.Y; y < panel.GridPos.Y+panel.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x > 23 {
					t.Fatalf("%s lies on %q or beyond the edge", panel.Title, other)
				}
				taken[[2]int{x, y}] = panel.Title
			}
		}
	}
}

func TestGrafanaFindsPrometheusAndTheDashboard(t *testing.T) {
	var from sources
	if err := strict(read(t, "docker/grafana/provisioning/datasources/prometheus.yaml"), &from); err != nil {
		t.Fatal(err)
	}
	var by providers
	text := read(t, "docker/grafana/provisioning/dashboards/hourseal.yaml")
	if err := strict(text, &by); err != nil {
		t.Fatal(err)
	}
	if err := strict(broken(t, text, "disableDeletion", "disableDeletions"), &providers{}); err == nil {
		t.Error("a misspelt key was accepted")
	}
	if from.APIVersion != 1 || by.APIVersion != 1 || len(from.Datasources) != 1 || len(by.Providers) != 1 {
		t.Fatal("one of each, version 1")
	}
	if one := from.Datasources[0]; one.Type != "prometheus" || one.URL != "http://prometheus:9090" || !one.IsDefault {
		t.Errorf("%+v", one)
	}
	if volume, is := mounted(compose(t).Services["grafana"], by.Providers[0].Options.Path); !is ||
		!strings.HasSuffix(volume.Source, "docker/grafana/dashboards") {
		t.Error("the dashboard's folder is not mounted")
	}
}
