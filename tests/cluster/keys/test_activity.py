"""A backlog is sealed under later generations, no key seals outside its activity. A testkit clock makes hours pass."""

from dataclasses import dataclass
from itertools import islice

from oracle.envelope import read_head
from oracle.events import HOUR_MS, job_events, now_ms
from world import TESTKIT, World, seeded

GRACE_MS = 5 * 60_000


@dataclass
class Phase:
    """What was sealed between two moments of the worker's clock."""

    began_ms: int
    ended_ms: int
    first: dict[int, int]
    end: dict[int, int]

    def holds(self, record) -> bool:
        return self.first[record.partition()] <= record.offset() < self.end[record.partition()]


class Phases:
    def __init__(self, world: World):
        self._world = world
        self._hours = 0.0
        self.list: list[Phase] = []

    def set_clock(self, hours: float):
        self._hours = hours
        self._world.set_clock(hours=hours)

    def seal_all(self, act):
        """Runs `act` and waits until all input is sealed, noting the clock and the output on both sides."""
        topics, output = self._world.topics, self._world.output
        first = topics.ends(output) if self.list else dict.fromkeys(range(self._world.partitions), 0)
        began = self._now()
        act()
        self._world.await_drained()
        self.list.append(Phase(began, self._now(), first, topics.ends(output, "read_uncommitted")))

    def _now(self) -> int:
        return now_ms() + int(self._hours * HOUR_MS)


def generation_at(hour: int, moment_ms: int) -> int:
    return max(0, (moment_ms - GRACE_MS - hour * HOUR_MS) // HOUR_MS)


def activity(hour: int, generation: int) -> range:
    """The moments at which a slot's key may seal; the first generation's may come early."""
    end = hour * HOUR_MS + GRACE_MS + (generation + 1) * HOUR_MS
    return range(end - HOUR_MS if generation else 0, end)


def test_a_backlog_is_sealed_late_and_never_outside_a_keys_activity(kafka, make_world):
    world = make_world(kafka, binary=TESTKIT)
    events = job_events(seeded(), customers=20, hours=4)
    phases = Phases(world)
    feed = lambda: world.feed(islice(events, 5_000))  # noqa: E731

    phases.set_clock(hours=0)
    worker = world.worker(lanes=2)
    phases.seal_all(feed)
    worker.stop()
    feed()
    phases.set_clock(hours=5)  # the worker was down for five hours
    started = []
    phases.seal_all(lambda: started.append(world.worker(lanes=2)))
    phases.set_clock(hours=6.5)  # time passes under a running worker
    phases.seal_all(feed)
    phases.set_clock(hours=7.5)
    phases.seal_all(feed)
    started[0].stop()

    findings = world.findings()
    findings.assert_exactly_once()
    assert {0, 5, 6, 7} <= set(findings.generations)
    rows = world.keys().rows()
    for record in world.topics.read(world.output):
        head = read_head(record.value())
        (phase,) = [phase for phase in phases.list if phase.holds(record)]
        lived = {generation_at(head.hour, moment) for moment in (phase.began_ms, phase.ended_ms)}
        assert head.generation in lived, f"sealed as {head.generation} in a time of {lived}"
    for slot, row in rows.items():
        assert row.minted_at in activity(slot.hour, slot.generation), f"{slot} minted outside its activity"
