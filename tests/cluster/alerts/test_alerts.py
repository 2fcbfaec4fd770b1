"""Each rule of docker/rules.yml is shown on real workers, by a real Prometheus whose minutes are seconds: a fault sets its
alert off, and before and after the fault no alert fires."""

import re
from collections.abc import Callable

import pytest
from children import MountRefused, wait_until
from dashboard import at_speed, panels
from faults import FAULTS, Fault
from prometheus import FACTOR, RULES, Prometheus, alerts, faster
from world import LONG, RELEASE, TESTKIT

# Of an outage, until each of its alerts fires: the longest `for` is ten seconds, and a worker looks every ten seconds. A slow fault
# has a `for` of three hours, or a smaller factor.
SOON, LATER = 90, 400
# Evaluations in good times. Each is a quarter of a minute of Prometheus' time.
MANY, SOME = 24, 4
OF_A_CLUSTER = re.compile(r"hourseal_store_(?!behind)")


class Watched:
    """A fault with its world and its Prometheus."""

    def __init__(self, fault: Fault, kafka, make_world, store=None):
        self.fault, self.name = fault, fault.drive.__name__
        self.world = make_world(
            kafka,
            store=store,
            partitions=2,
            binary=TESTKIT if fault.testkit else RELEASE,
            settings=fault.settings,
        )
        self._steps = fault.drive(self.world)
        self.step()
        self.prometheus = self.watch("prometheus")

    def watch(self, name: str, rules: str | None = None) -> Prometheus:
        ports = [self.world.admin_port(instance) for instance in self.fault.instances]
        return Prometheus(self.world.folder / name, ports, rules=rules, factor=self.fault.factor)

    def step(self):
        next(self._steps)

    def has_fired(self) -> bool:
        return self.fault.fires <= self.prometheus.fired()

    def is_silent(self) -> bool:
        return self.fault.stands or not self.prometheus.firing()

    def told(self) -> str:
        prometheus = self.prometheus
        return f"{self.name}: {self.fault.fires}, fired {prometheus.fired()}, firing {prometheus.firing()}\n{self.world.state()}"

    def end(self):
        self.prometheus.end()
        self._steps.close()


def await_all(several: list[Watched], what: Callable[[Watched], bool]):
    try:
        seconds = LATER if any(one.fault.long for one in several) else SOON
        wait_until(lambda: all(map(what, several)), seconds, what.__name__, every=0.5)
    except AssertionError as late:
        others = "\n".join(one.told() for one in several if not what(one))
        raise AssertionError(f"{late}\n{others}") from None


def watched(faults: list[Fault], *servers, **how) -> list[Watched]:
    found = []
    for fault in faults:
        try:
            found.append(Watched(fault, *servers, **how))
        except MountRefused as refused:
            print(f"NOT TESTED: {fault.fires}: {refused}")
    return found


def unseen_panels(several: list[Watched]) -> list[str]:
    """Panels that show nothing in any of these worlds. Those of a key store on a cluster are seen in tools/test_metrics."""
    wanted = {title: at_speed(query) for title, query in panels().items() if not OF_A_CLUSTER.search(query)}
    has_shown = lambda query: any(one.prometheus.has_shown(query, 600) for one in several)  # noqa: E731
    return [title for title, query in wanted.items() if not has_shown(query)]


def fire_and_clear(several: list[Watched], blind: Prometheus | None = None):
    """Silent before, fires in the fault, and silent when it is repaired. `blind` has a rule that sees nothing, in the first world of
    all quick faults. These move every panel, too."""
    for one in several:
        one.prometheus.await_evaluations(MANY if one.fault.factor == FACTOR else SOME)
    assert {one.name: fired for one in several if (fired := one.prometheus.fired())} == {}, "before the fault"
    for one in several:
        one.step()
    await_all(several, Watched.has_fired)
    assert blind is None or several[0].fault.fires & blind.fired() == set(), "a rule that sees nothing does not fire"
    for one in several:
        one.step()
    await_all(several, Watched.is_silent)
    others = {one.name: more for one in several if (more := one.prometheus.fired() - one.fault.fires - one.fault.may_fire)}
    assert others == {}, "no other alert has fired"
    assert blind is None or unseen_panels(several) == []
    for one in several:
        one.end()


def test_each_alert_fires_in_its_fault_and_is_silent_before_and_after(kafka, make_world):
    several = watched([fault for fault in FAULTS if not fault.long], kafka, make_world)
    # The control: a rule that has no fault to see.
    blind = several[0].watch("blind", RULES.read_text().replace('up{job="hourseal"} == 0', 'up{job="hourseal"} == 2'))
    fire_and_clear(several, blind)


@pytest.mark.skipif(not LONG, reason="slow faults are of the long tier")
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.long], ids=lambda fault: "-".join(fault.fires))
def test_a_slow_alert_fires_in_its_fault(kafka, request, make_world, fault):
    store = request.getfixturevalue("cassandra") if fault.on_cassandra else None
    fire_and_clear(watched([fault], kafka, make_world, store=store))


@pytest.mark.skipif(not LONG, reason="full length is of the long tier")
@pytest.mark.parametrize("alert", ["HoursealWorkerDown", "HoursealPartitionParked"])
def test_an_alert_fires_at_full_length(kafka, make_world, alert):
    """Prometheus has the rules and the intervals as they are written."""
    (fault,) = (fault for fault in FAULTS if alert in fault.fires)
    fire_and_clear(watched([fault._replace(factor=1, long=True)], kafka, make_world))


def test_every_rule_has_a_fault_and_a_section_in_the_runbook():
    names = alerts(RULES.read_text())
    assert len(names) == len(set(names)) >= 18
    assert {name for fault in FAULTS for name in fault.fires} == set(names)
    runbook = (RULES.parents[1] / "docs/runbook.md").read_text()
    assert [name for name in names if f"\n## {name}\n" not in runbook] == []
    assert RULES.read_text().count("runbook_url") == len(names)


@pytest.mark.parametrize(
    ("text", "divided"),
    [
        ("for: 10m\n", "for: 10000ms\n"),
        ("increase(a_total[1h]) > 0 unless a_total offset 1h", "increase(a_total[60000ms]) > 0 unless a_total offset 60000ms"),
        ("hourseal_age_seconds > 600", "hourseal_age_seconds > 600"),
        ("  scrape_interval: 15s", "  scrape_interval: 250ms"),
    ],
)
def test_durations_are_divided_and_nothing_else(text, divided):
    assert faster(text, 60) == divided
