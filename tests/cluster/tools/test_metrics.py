"""A worker's /metrics in one story: every series moves or has an excuse, rules, dashboard and paper name what is there, each panel
of the dashboard shows something, and every line of the log has a documented code.

One story of one world, and not the scrapes of all tests: what moves a series can be read here, and a run of one test alone
says the same as a run of all."""

import os
import re
import subprocess
import time

import pytest
from children import wait_until
from dashboard import at_speed, panels
from erasures import events
from kinds import MAX_BYTES, Kinds
from logs import faults as log_faults
from logs import parsed
from moved import Excuse, Exported, Moves, watched
from office import SETTLED, Office, ask
from oracle.events import HOUR_MS, now_ms
from prometheus import Prometheus
from signing_key import write_signing_key
from topics import ONLY_MARKERS
from world import ROOT, TESTKIT, Feeder, World, write_clock

HOUR = now_ms() // HOUR_MS
# An hour after the day of due, and the grace, have ended.
AFTER = ((HOUR + 5) // 24 + 1) * 24 + 1
SETTINGS = {
    "event": {"max_bytes": MAX_BYTES},
    # Small batches: the lag is seen while they are worked off.
    "lane": {"batch_events": 50},
    "retention": {"default": "2h", "sweep": "1s"},
    "kek": {"destroy": "1s"},
    "reclaim": {"every": "1s"},
    "ring": {"premint": "55m"},
}
PLANTED = "# HELP hourseal_planted_total Planted\n# TYPE hourseal_planted_total {}\nhourseal_planted_total 0\n"

# Lines that this story always has, besides others.
CODES = {
    *("HS1001", "HS1002", "HS1003", "HS1004", "HS1501"),  # the process
    *("HS1101", "HS1102", "HS1202", "HS1203", "HS1204", "HS1210", "HS1302", "HS1416", "HS1424", "HS1425"),  # sealing
    *("HS1403", "HS1404", "HS1405", "HS1408", "HS1411", "HS1413", "HS1421", "HS1451"),  # forgetting
    "HS2005",  # the driver of the key store
}

# Series that this story leaves still, each with where it is seen, or why it is not.
EXCUSES = [
    # What only a broker, a store, a disk or another process that fails can move.
    Excuse("transactions_total", {"outcome": "aborted"}, "a broker that aborts: seal/test_chaos"),
    Excuse("transactions_total", {"outcome": "fenced"}, "a producer with the same name: stream/fate.rs"),
    Excuse("transactions_total", {"outcome": "unknown"}, "a broker that is away: seal/test_dead_broker"),
    Excuse("waiting", {"why": "broker"}, "a broker that is away: seal/test_outages"),
    Excuse("waiting", {"why": "kek"}, "another vault than the store's: storage/test_cql_fleet"),
    Excuse("waiting", {"why": "pending"}, "a store that is slow: keys/flight.rs"),
    Excuse("waiting", {"why": "store"}, "a store that is away: seal/test_outages"),
    Excuse("waiting", {"why": "vault"}, "a vault that is away: lane/observer.rs"),
    Excuse("store_operations_total", {"outcome": "failed"}, "a server that refuses: tests/it/scylla/faults.rs"),
    Excuse("store_operations_total", {"outcome": "unknown"}, "replies that are lost: tests/it/scylla/faults.rs"),
    Excuse("store_unknown_settled_total", {}, "replies that are lost: tests/it/scylla/faults.rs"),
    Excuse("store_contention_total", {}, "processes that race: tests/it/scylla/fleet.rs"),
    Excuse("receipts_signing_halted", {}, "a topic that was cut: receipts/test_receipt_log"),
    Excuse("store_behind_timestamp_seconds", {}, "a key store from a backup: alerts/test_alerts"),
    *(Excuse(name, {"of": "store"}, "this store is a cluster: alerts/test_alerts") for name in ("disk_size_bytes", "disk_available_bytes")),
    Excuse("foreign_members", {}, "a consumer that is not Hourseal: start/test_strangers, lane/group.rs"),
    Excuse("gaps_accepted_total", {}, "a gap and the operator's flag: seal/test_parking"),
    # The canary looks every ten seconds: a story that waits for it takes twice the time.
    Excuse("canary_events_total", {"outcome": "forgotten"}, "forget/test_canary"),
    Excuse("canary_events_total", {"outcome": "still-opens"}, "forget/test_canary"),
    Excuse("canary_events_total", {"outcome": "not-sealed"}, "two minutes without output"),
    Excuse("key_memory_bytes", {"state": "unlocked"}, "a limit of locked memory: keys/test_memory"),
    Excuse("key_memory_bytes", {"state": "locked"}, "a host that has no locked memory to give"),
    Excuse("key_operations_total", {"op": "expire"}, "a week without a sweep: forget/test_erase"),
    Excuse("premint_slots_total", {"outcome": "refused"}, "customers that go before the hour begins: tests/it/premint.rs"),
    Excuse("premint_slots_total", {"outcome": "waiting"}, "a store that is away: tests/it/premint.rs"),
    # What a server does only after something else went wrong, or has no time to be seen.
    Excuse("store_operations_total", {"op": "serial_read"}, "a read after an unknown outcome: tests/it/scylla/faults.rs"),
    Excuse("store_operation_duration_seconds_count", {"op": "serial_read"}, "a read after an unknown outcome"),
    # Endings of commands that need more than one story.
    *(
        Excuse(name, {"kind": kind, "outcome": outcome}, reason)
        for name in ("control_messages_total", "erasures_total")
        for kind, outcome, reason in [
            ("erase", "incomplete", "a hold that came meanwhile: forget/tests/executing.rs"),
            ("erase-customer", "incomplete", "a hold that came meanwhile: forget/tests/executing.rs"),
            ("erase-customer", "nothing-to-erase", "a customer without keys: forget/tests.rs"),
            ("erase-customer", "refused", "one signature: forget/test_signatures"),
            ("sweep", "nothing-to-erase", "an hour whose keys had faded: forget/tests/sweeping.rs"),
        ]
    ),
    *(
        Excuse("control_messages_total", {"kind": kind, "outcome": outcome}, reason)
        for kind, outcome, reason in [
            ("hold", "incomplete", "a row that is not usable: forget/tests/stopping.rs"),
            ("hold", "refused", "a hold of the same id: forget/test_signatures"),
            ("release", "incomplete", "a row that is not usable: forget/tests/stopping.rs"),
            ("release", "refused", "one signature: forget/test_signatures"),
            ("retention", "refused", "one signature: forget/test_retention"),
            ("retention", "incomplete", "keys that do not open: forget/test_retention"),
            ("destroy-kek", "nothing-due", "two calls for one KEK: keys/test_keks"),
            ("sweep", "nothing-due", "two calls for one sweep: forget/test_sweep"),
        ]
    ),
    # Reasons that no record of `kinds` has: where a record comes from or how the broker is set decides.
    *(
        Excuse("quarantined_total", {"reason": reason}, why)
        for reason, why in [
            ("encoded-customer", "keys without a declared decoding: seal/test_event_shapes"),
            ("expired", "an hour that is due and not erased: seal/test_bad_input"),
            ("no-time", "another place of the time: lane/admit.rs"),
            ("refused", "a broker that refuses: seal/test_bad_input"),
            ("too-many-headers", "65,536 headers: lane/batch.rs"),
            ("too-many-slots", "a flood of customers: seal/test_bounds"),
        ]
    ),
]


@pytest.fixture
def world(kafka, cassandra, make_world, tmp_path) -> World:
    settings = {**SETTINGS, "receipts": {"signing_key_file": str(write_signing_key(tmp_path))}}
    world = make_world(kafka, store=cassandra, partitions=4, binary=TESTKIT, settings=settings)
    world.office = Office(tmp_path / "office", world.binary)
    world.store_clock = world.folder / "store-clock"
    world.flows = {}
    world.env |= {**SETTLED, "HOURSEAL_TESTKIT_STORE_CLOCK": str(world.store_clock)}
    return world


def set_hour(world: World, hour: float, store_seconds: int = 0):
    """Both clocks; the store's is apart by so much."""
    world.set_hour(hour)
    write_clock(world.store_clock, int(hour * 3600) - now_ms() // 1000 + store_seconds)


def feed(world: World, customer: bytes, count: int, **how):
    """So many more events of the customer's hour."""
    world.feed_some(world.flows.setdefault(customer, events(customer, HOUR)), count, **how)


def feed_bad(world: World):
    feeder = Feeder(world, settings={"compression.type": "zstd", "message.max.bytes": 8_000_000})
    for kind in Kinds(int((HOUR + 0.5) * HOUR_MS)).bad():
        feeder.send(0, kind.key, kind.headers, kind.value)
    feeder.finish()


def start(world: World, workers: list, name: str, lanes: int):
    workers.append(world.worker(name, lanes=lanes, settings=world.office.settings, ready=False))
    workers[-1].await_ready(60)


def seal(world: World, workers: list):
    """Good and bad events, keys that another worker minted, clocks that are apart."""
    start(world, workers, "w0", lanes=2)
    feed_bad(world)
    for customer in (b"acme", b"bravo", b"delta", b"echo"):
        feed(world, customer, 500)
    world.await_drained()

    set_hour(world, HOUR + 0.5, store_seconds=60)
    feed(world, b"unknown", 20)
    wait_until(lambda: workers[0].figures().sum("waiting", why="clocks"), 30, "a lane waits for the clocks")
    set_hour(world, HOUR + 0.5)
    world.await_drained()


def park(world: World, workers: list):
    """A record that not even the quarantine takes: its partition is parked for a while, and has a series only then."""
    parked = lambda: workers[0].figures().sum("partition_parked")  # noqa: E731
    size = world.topics.settings(world.quarantine)["max.message.bytes"]
    world.topics.alter(world.quarantine, max_message_bytes=ONLY_MARKERS)
    feeder = Feeder(world)
    feeder.send(3, None, (), b"not json")
    feeder.finish()
    wait_until(parked, 30, "a partition is parked")
    world.parked = workers[0].metrics()
    world.topics.alter(world.quarantine, max_message_bytes=size)
    wait_until(lambda: not parked(), 60, "it flows again: after a refused record the worker looks every 30 s")
    world.await_drained()


def command(world: World, workers: list):
    """Every command; what nobody has signed, what is none, and one that stands there twice."""
    both = ("--sign-with", world.office.key("dpo"), "--sign-with", world.office.key("legal"))
    alone = ("--sign-with", world.office.key("dpo"))
    delta = ("erase", "request", "--customer", "delta", "--from", str(HOUR), "--to", str(HOUR), "--reason", "request")
    ask(world, "retention", "set", "--customer", "bravo", "--keep", "3h", *both)
    ask(world, "hold", "place", "--customer", "bravo", "--hold", "case-1", "--from", str(HOUR), "--to", str(HOUR), *both)
    ask(world, *delta, *alone, code=65)
    ask(world, *delta, *both)
    world.command_bytes(world.topics.read(world.control)[-1].value())
    ask(world, *delta, *both)
    ask(world, "erase", "customer", "--customer", "echo", *both)
    world.command(id="c-1", type="erase", customer="acme", from_hour=HOUR, to_hour=HOUR, reason="retention-end")
    world.command_bytes(b"not a command")
    feed(world, b"delta", 20)

    start(world, workers, "w1", lanes=1)
    feed(world, b"bravo", 2_000)
    world.await_drained()


def forget(world: World, workers: list):
    """A day later, but a command and its customer's hours wait for the trust store; then the sweep, the KEK, the end of the hold."""
    both = ("--sign-with", world.office.key("dpo"), "--sign-with", world.office.key("legal"))
    count = lambda name, **labels: sum(worker.figures().sum(name, **labels) for worker in workers)  # noqa: E731
    trusted = world.office.trust.read_text()
    world.office.trust.write_text(trusted[:-20])
    world.command(id="c-2", type="erase", customer="acme", from_hour=HOUR, to_hour=HOUR, reason="retention-end")
    set_hour(world, AFTER)
    wait_until(lambda: count("sweep_overdue") and count("sweep_lag_seconds"), 30, "hours are overdue")
    wait_until(lambda: count("ended_keks", state="needed"), 30, "a KEK is past its day")
    world.office.trust.write_text(trusted)
    wait_until(lambda: count("erasures_total", kind="destroy-kek"), 60, "a KEK is destroyed")
    wait_until(lambda: count("ended_keks", state="held"), 30, "what is held has a KEK of its own")
    ask(world, "hold", "release", "--customer", "bravo", "--hold", "case-1", *both)
    ask(world, "retention", "set", "--customer", "hourseal-canary", "--keep", "1h", *both)
    workers.append(world.canary(world.office.settings))
    workers[-1].await_ready()
    assert count("canary_events_total", outcome="opened") == 1
    wait_until(lambda: count("reclaimed_bytes_total") and count("reclaimed_records_total"), 30, "records are reclaimed")


def test_every_series_moves_and_rules_and_dashboard_name_what_is_there(world):
    moves, workers, began = Moves(), [], time.monotonic()
    ports = [world.admin_port(instance) for instance in ("w0", "w1", "canary")]
    prometheus = Prometheus(world.folder / "prometheus", ports, rules="groups: []\n")
    set_hour(world, HOUR + 0.5)
    # Before the first look at the input: it finds plaintext that is half an hour old.
    feed(world, b"acme", 20, stamped=True)
    with watched(moves, workers):
        seal(world, workers)
        park(world, workers)
        command(world, workers)
        forget(world, workers)
    text = world.parked + "".join(worker.metrics() for worker in workers)
    one = workers[0].metrics()
    empty = [title for title, query in panels().items() if not prometheus.has_shown(at_speed(query), time.monotonic() - began)]
    # The control: a family that does not exist, and a value that is not a number.
    assert not any(prometheus.has_shown(query, time.monotonic() - began) for query in ("hourseal_no_such", "hourseal_waiting * NaN"))
    prometheus.end()
    for worker in workers:
        worker.stop()
    lines = [line for worker in workers for line in parsed(worker.text())]
    codes = {line["code"] for line in lines}
    assert (empty, log_faults(lines), CODES - codes) == ([], [], set()), sorted(codes)
    exported = Exported(text)
    assert paper_faults(exported, text) == []
    # A partition has that series only while it is over its budget: seal/test_bounds.
    faults = lambda query: [it for it in exported.faults(query) if "has no reason 'slot-budget'" not in it]  # noqa: E731
    unknown = {place: found for place, query in queries().items() if (found := faults(query))}
    dashboard = (ROOT / "docker/grafana/dashboards/hourseal.json").read_text()
    unseen = {family for family in exported.families() if family not in dashboard}
    assert (moves.faults(EXCUSES), unknown, unseen - {"hourseal_build_info"}) == ([], {}, set())
    assert promtool(one) == ""

    # The controls: a series that nothing moves, and a gauge that is called a counter.
    moves.look(one + PLANTED.format("counter"))
    assert moves.faults(EXCUSES) == ["hourseal_planted_total{} never moves"]
    assert "hourseal_planted_total" in promtool(one + PLANTED.format("gauge"))


def queries() -> dict[str, str]:
    """Every expression of the rules and of the dashboard, by where it stands."""
    rules = re.split(r"^ *- alert: ", (ROOT / "docker/rules.yml").read_text(), flags=re.MULTILINE)[1:]
    alerts = {rule.split("\n", 1)[0]: rule.split("expr:", 1)[1].split("labels:", 1)[0] for rule in rules}
    assert len(alerts) > 10
    return panels() | alerts


ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|", re.MULTILINE)


def paper_faults(exported: Exported, scrape: str) -> list[str]:
    """What docs/metrics.md and a scrape do not have in common: families, types, labels and their values."""
    found = []
    paper = {name: (kind, labels) for name, kind, labels in ROW.findall((ROOT / "docs/metrics.md").read_text())}
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", scrape, flags=re.MULTILINE))
    found += [f"{name} is not in both" for name in sorted(paper.keys() ^ kinds.keys())]
    for name in sorted(paper.keys() & kinds.keys()):
        kind, labels = paper[name]
        if kind != kinds[name]:
            found.append(f"{name}: {kind} is not {kinds[name]}")
        declared = dict(re.findall(r"`(\w+)`(?:: ([^;]*[^;\s]))?", labels))
        shown = exported.values.get(f"{name}_count" if kind == "histogram" else name, {})
        if declared.keys() != shown.keys():
            found.append(f"{name}: {sorted(declared)} are not {sorted(shown)}")
        for label, values in declared.items():
            if values and not shown.get(label, set()) <= set(values.split(", ")):
                found.append(f"{name}: {label} has more than {values}")
    return found


def promtool(text: str) -> str:
    """What Prometheus' own checker has against the names of a scrape."""
    tool = os.environ.get("PROMTOOL") or "promtool"
    done = subprocess.run([tool, "check", "metrics"], input=text.encode(), capture_output=True)
    return (done.stdout + done.stderr).decode()


def test_what_never_moves_and_what_is_not_there_is_found():
    moves = Moves()
    moves.look('hourseal_a_total{why="x"} 0\nhourseal_a_total{why="y"} 0\nhourseal_b 0\nhourseal_s_bucket{le="1"} 0\n')
    moves.look('hourseal_a_total{why="x"} 1\nhourseal_b 0\n')
    both = [Excuse("a_total", {"why": "y"}, ""), Excuse("b", {}, "")]
    assert moves.faults(both) == []
    assert moves.faults(both[:1]) == ["hourseal_b{} never moves"]
    assert moves.faults(both[1:]) == ['hourseal_a_total{why="y"} never moves']
    assert len(moves.faults([*both, Excuse("c", {}, "")])) == 1

    scrape = "# TYPE hourseal_events_total gauge\nhourseal_events_total{outcome=\"odd\"} 0\n"
    faults = paper_faults(Exported(scrape), scrape)
    assert "hourseal_events_total: counter is not gauge" in faults and "hourseal_swept_total is not in both" in faults
    assert "hourseal_events_total: outcome has more than quarantined, sealed" in faults

    exported = Exported('hourseal_a_total{why="x",lane="0"} 0\nhourseal_s_bucket{le="1"} 0\nhourseal_s_sum 0\nhourseal_s_count 0\n')
    assert exported.families() == {"hourseal_a_total", "hourseal_s"}
    for right in (
        'sum by (lane, instance) (hourseal_a_total{why="x", instance=~".*"})',
        'histogram_quantile(0.5, sum by (le) (rate(hourseal_s_bucket[1m])))',
        'up{job="hourseal"} == 0',
    ):
        assert exported.faults(right) == [], right
    for wrong in (
        "hourseal_a",
        "hourseal_s",
        'hourseal_a_total{wy="x"}',
        'hourseal_a_total{why="z"}',
        'hourseal_a_total{why!="z"}',
        'hourseal_a_total{why=~"x|z"}',
        "sum by (le) (hourseal_a_total)",
    ):
        assert len(exported.faults(wrong)) == 1, wrong
