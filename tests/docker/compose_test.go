package docker

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

func parseCompose(t *testing.T, text string) (*types.Project, error) {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join(root, "docker"))
	if err != nil {
		t.Fatal(err)
	}
	return loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir:  folder,
		ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: []byte(text)}},
	})
}

func compose(t *testing.T) *types.Project {
	t.Helper()
	project, err := parseCompose(t, read(t, "docker/compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestComposeAcceptsTheFileAndRefusesAWrongOne(t *testing.T) {
	text := read(t, "docker/compose.yaml")
	if _, err := parseCompose(t, text); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range [][2]string{
		{"stop_grace_period:", "stop_grace_periods:"},
		{"service_healthy", "service_helthy"},
		{"source: kek-vault", "source: kek-vaults"},
		{"secrets: [grafana-admin]", "secrets: [grafana-admins]"},
		{"scylla: {condition", "scyla: {condition"},
	} {
		if _, err := parseCompose(t, broken(t, text, wrong[0], wrong[1])); err == nil {
			t.Errorf("%s was accepted", wrong[1])
		}
	}
}

func TestEveryImageIsPinned(t *testing.T) {
	for name, service := range compose(t).Services {
		if !pinned(service.Image) {
			t.Errorf("%s: %s", name, service.Image)
		}
	}
}

func TestVersionsAreTheOnesThatAreTested(t *testing.T) {
	services := compose(t).Services
	kafka := find(t, "tests/servers/pom.xml", `<kafka.version>([^<]+)<`)
	if image := services["kafka"].Image; image != "apache/kafka:"+kafka {
		t.Errorf("%s is not the tested Kafka %s", image, kafka)
	}
	version := find(t, "Cargo.toml", `(?m)^version = "([^"]+)"`)
	if image := services["worker"].Image; image != "hourseal:"+version {
		t.Errorf("%s is not version %s", image, version)
	}
	parser := find(t, "tests/docker/go.mod", `prometheus/prometheus v0\.(\d+\.\d+)`) // 0.305.1 is Prometheus 3.5.1
	want := "prom/prometheus:v3." + strings.TrimLeft(parser[1:], "0")
	if image := services["prometheus"].Image; image != want {
		t.Errorf("%s is not the version whose PromQL parser is used here, %s", image, want)
	}
}

func TestPortsArePublishedOnLoopbackOnly(t *testing.T) {
	count := 0
	for name, service := range compose(t).Services {
		if service.NetworkMode == "host" || service.Privileged {
			t.Errorf("%s is not isolated", name)
		}
		for _, port := range service.Ports {
			count++
			if ip := net.ParseIP(port.HostIP); ip == nil || !ip.IsLoopback() {
				t.Errorf("%s publishes %s on %q", name, port.Published, port.HostIP)
			}
		}
	}
	if count == 0 {
		t.Error("no port was looked at")
	}
}

func TestSecretsAreFilesAndNeverInTheEnvironment(t *testing.T) {
	secret := regexp.MustCompile(`(?i)password|passwd|secret|token|credential|_key\b|_key=`)
	project := compose(t)
	for name, service := range project.Services {
		for key, value := range service.Environment {
			if secret.MatchString(key) && !strings.HasSuffix(key, "_FILE") {
				t.Errorf("%s has %s in its environment", name, key)
			}
			if strings.HasSuffix(key, "_FILE") && (value == nil || !strings.HasPrefix(*value, "/run/secrets/")) {
				t.Errorf("%s: %s is not a secret's file", name, key)
			}
		}
		if len(service.EnvFiles) > 0 {
			t.Errorf("%s has an env_file", name)
		}
	}
	for name, secret := range project.Secrets {
		if secret.File == "" {
			t.Errorf("secret %s is not a file", name)
		}
	}
	if !secret.MatchString("GF_SECURITY_ADMIN_PASSWORD") {
		t.Error("the pattern finds no password")
	}
}

func TestTheWorkerIsConfined(t *testing.T) {
	for _, name := range []string{"worker", "store-init"} {
		service := compose(t).Services[name]
		if user, _, _ := strings.Cut(service.User, ":"); user != "65532" {
			t.Errorf("%s runs as %q", name, service.User)
		}
		if !service.ReadOnly || len(service.Tmpfs) != 1 {
			t.Errorf("%s can write to its root", name)
		}
		if !slices.Equal(service.CapDrop, []string{"ALL"}) || len(service.CapAdd) > 0 {
			t.Errorf("%s has capabilities", name)
		}
		if !slices.Contains(service.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may gain privileges", name)
		}
		if service.MemLimit == 0 || service.MemSwapLimit != service.MemLimit {
			t.Errorf("%s may swap keys", name)
		}
		if core := service.Ulimits["core"]; core == nil || core.Single != 0 || core.Hard != 0 || core.Soft != 0 {
			t.Errorf("%s may dump keys", name)
		}
	}
}

func TestTheWorkersKeysMayAllBeLocked(t *testing.T) {
	keys, err := strconv.Atoi(find(t, "src/config/default.toml", `(?m)^capacity = (\d+)`))
	if err != nil || strings.Contains(read(t, "docker/hourseal.toml"), "capacity") {
		t.Fatal("another capacity than the default", err)
	}
	for _, name := range []string{"worker", "store-init"} {
		limit := compose(t).Services[name].Ulimits["memlock"]
		if limit == nil || limit.Single < 32*keys || types.UnitBytes(limit.Single) > compose(t).Services[name].MemLimit {
			t.Errorf("%s may lock %+v, %d keys take %d", name, limit, keys, 32*keys)
		}
	}
}

func TestAllButScyllaAreWithoutCapabilities(t *testing.T) {
	for name, service := range compose(t).Services {
		if name != "scylla" && !slices.Equal(service.CapDrop, []string{"ALL"}) {
			t.Errorf("%s has capabilities", name)
		}
	}
}

func TestTheWorkerHasMoreTimeToStopThanItNeeds(t *testing.T) {
	seconds := find(t, "src/app/threads.rs", `SHUTDOWN_LIMIT: Duration = Duration::from_secs\((\d+)\)`)
	limit, err := time.ParseDuration(seconds + "s")
	if err != nil {
		t.Fatal(err)
	}
	if grace := compose(t).Services["worker"].StopGracePeriod; grace == nil || time.Duration(*grace) < limit+5*time.Second {
		t.Errorf("the limit is %s", limit)
	}
}

func TestServicesStartInOrder(t *testing.T) {
	project := compose(t)
	for _, want := range [][3]string{
		{"store-init", "scylla", types.ServiceConditionHealthy},
		{"worker", "kafka", types.ServiceConditionHealthy},
		{"worker", "store-init", types.ServiceConditionCompletedSuccessfully},
	} {
		on := project.Services[want[0]].DependsOn[want[1]]
		if on.Condition != want[2] || !on.Required {
			t.Errorf("%s does not wait until %s is %s", want[0], want[1], want[2])
		}
		health := project.Services[want[1]].HealthCheck
		if on.Condition == types.ServiceConditionHealthy && (health == nil || len(health.Test) == 0) {
			t.Errorf("%s has no health check", want[1])
		}
	}
}

func TestTheWorkerIsAskedByTheProgramOfItsImage(t *testing.T) {
	program := find(t, "docker/Containerfile", `ENTRYPOINT \["([^"]+)"\]`)
	health := compose(t).Services["worker"].HealthCheck
	if health == nil || !slices.Equal(health.Test, []string{"CMD", program, "ready"}) {
		t.Errorf("the health check is %+v", health)
	}
}

// mounted returns what is mounted at a path of a service.
func mounted(service types.ServiceConfig, target string) (types.ServiceVolumeConfig, bool) {
	for _, volume := range service.Volumes {
		if volume.Target == target {
			return volume, true
		}
	}
	return types.ServiceVolumeConfig{}, false
}

func TestTheWorkerReadsTheConfigurationThatIsMounted(t *testing.T) {
	for _, name := range []string{"worker", "store-init"} {
		service := compose(t).Services[name]
		path := service.Environment["HOURSEAL_CONFIG"]
		if path == nil {
			t.Fatalf("%s has no HOURSEAL_CONFIG", name)
		}
		volume, is := mounted(service, *path)
		if !is || !volume.ReadOnly || filepath.Base(volume.Source) != "hourseal.toml" {
			t.Errorf("%s: %s is not docker/hourseal.toml, read only", name, *path)
		}
	}
}

func TestVaultRootKeyAndDataLieOnVolumesOfTheirOwn(t *testing.T) {
	project := compose(t)
	worker := project.Services["worker"]
	used := map[string]string{}
	for name, service := range project.Services {
		for _, volume := range service.Volumes {
			if volume.Type != types.VolumeTypeVolume {
				continue
			}
			if other, twice := used[volume.Source]; twice && worker.Image != service.Image {
				t.Errorf("%s is shared by %s and %s", volume.Source, other, name)
			}
			used[volume.Source] = name
		}
	}
	mountOf := func(key string) string {
		path := find(t, "docker/hourseal.toml", `(?m)^`+key+` = "([^"]+)"`)
		for _, volume := range worker.Volumes {
			if volume.Type == types.VolumeTypeVolume && strings.HasPrefix(path, volume.Target+"/") {
				return volume.Source
			}
		}
		return ""
	}
	vault, rootKey := mountOf("path"), mountOf("root_key_file")
	if vault == "" || rootKey == "" || vault == rootKey {
		t.Errorf("vault on %q, root key on %q", vault, rootKey)
	}
}

func TestTheWorkersAddressesAreTheServices(t *testing.T) {
	project := compose(t)
	for _, pattern := range []string{`bootstrap = "([^"]+)"`, `contact_points = \["([^"]+)"\]`} {
		host, port, err := net.SplitHostPort(find(t, "docker/hourseal.toml", pattern))
		if _, known := project.Services[host]; err != nil || !known {
			t.Errorf("%s names no service: %s", pattern, host)
		}
		if listeners := project.Services["kafka"].Environment["KAFKA_ADVERTISED_LISTENERS"]; host == "kafka" &&
			!strings.Contains(*listeners, "//kafka:"+port) {
			t.Errorf("kafka does not advertise %s", port)
		}
	}
	_, port, err := net.SplitHostPort(find(t, "docker/hourseal.toml", `listen = "([^"]+)"`))
	if err != nil || project.Services["worker"].Ports[0].Published != port {
		t.Errorf("port %s is not published", port)
	}
}

func TestEveryMountedFileExists(t *testing.T) {
	for name, service := range compose(t).Services {
		for _, volume := range service.Volumes {
			if volume.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(volume.Source); err != nil || !volume.ReadOnly {
				t.Errorf("%s: %s is missing or writable", name, volume.Source)
			}
		}
	}
}
