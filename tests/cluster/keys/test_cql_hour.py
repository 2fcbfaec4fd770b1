"""The top of the hour: every customer needs a new key at once. What is sealed is right; how long it took is told.

The figures are printed and never asserted: a machine that is busy otherwise changes them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, islice

import pytest
from children import wait_until
from metrics import Metrics, total
from oracle.events import HOUR_MS, Event, now_ms, rfc3339
from slots import assert_one_dek_per_slot
from world import LONG, TESTKIT, World

CUSTOMERS = 50_000 if LONG else 1_500
RATE = 1_000 if LONG else 500  # each customer comes again within AFTER
PREMINT = 600 if LONG else 6  # the default, in the long tier
LEAD_IN = 15 if LONG else 2
AFTER = 60 if LONG else 6
HELD_BACK_AT_MOST = 300
WARM_UP_EARLIER = 30 * 60


def events(clock: Callable[[], int]) -> Iterator[Event]:
    """Every customer in turn, each in an input partition of its own, at the time of the worker's clock."""
    for serial in count():
        customer, at = b"c-%05d" % (serial % CUSTOMERS), clock()
        payload = b'{"customer_id":"%s","occurred_at":"%s","n":%d}' % (customer, rfc3339(at).encode(), serial)
        yield Event(customer, at, None, (), payload)


@dataclass
class Look:
    at: float
    of: list[Metrics]


@dataclass
class Crossing:
    """What two workers told while their clock went past the end of an hour."""

    premint: float
    warm_up_rates: list[float]
    edge: float
    looks: list[Look] = field(default_factory=list)

    def between(self, begin: float, end: float) -> list[Look]:
        """From `begin` to `end`, in seconds from the edge."""
        return [look for look in self.looks if begin <= look.at - self.edge <= end]

    def silence(self, begin: float, end: float) -> float:
        """The longest time in which one of the workers committed nothing."""
        looks = self.between(begin, end)
        longest = 0.0
        for worker in range(len(looks[0].of)):
            last_at, last = looks[0].at, None
            for look in looks:
                commits = look.of[worker].sum("transactions_total", outcome="committed")
                if commits != last:
                    last_at, last = look.at, commits
                longest = max(longest, look.at - last_at)
        return longest

    def told(self, begin: float, end: float) -> Metrics:
        looks = self.between(begin, end)
        return total(looks[-1].of).minus(total(looks[0].of))

    def line(self, name: str, begin: float, end: float) -> str:
        told, looks = self.told(begin, end), self.between(begin, end)
        mints = told.sum("key_operations_total", op="mint")
        rate = mints / (looks[-1].at - looks[0].at)
        times = [told.quantiles("store_operation_duration_seconds", 0.5, 0.99, op=op) for op in ("mint", "read")]
        shown = " ".join(f"{1000 * value:8g}" for pair in times for value in pair)
        sealed = told.sum("events_total", outcome="sealed")
        return f"{name:<28} {self.silence(begin, end):8.2f} {mints:8.0f} {rate:8.0f} {sealed:8.0f}  {shown}"

    def table(self) -> str:
        columns = ["silent s", "minted", "slots/s", "sealed", " mint p50", "p99 ms", "read p50", "p99 ms"]
        head = " ".join([" " * 28, *(f"{column:>8}" for column in columns)])
        rows = [self.line(f"before ({LEAD_IN} s)", -self.premint - LEAD_IN, -self.premint)]
        if self.premint:
            rows += [self.line(f"last {self.premint} s of the hour", -self.premint, 0)]
        rows += [
            self.line("first 5 s of the next", 0, 5),
            self.line("after", 5, AFTER),
        ]
        rates = " + ".join(f"{rate:.0f}" for rate in self.warm_up_rates)
        return "\n".join([f"cold, nothing else to do: {rates} slots/s", head, *rows])


def cross(world: World, premint: float) -> tuple[Crossing, float]:
    """Warms up every customer, then goes past the hour's end under load; also how many slots were pre-minted."""
    edge_ms = (now_ms() // HOUR_MS + 1) * HOUR_MS
    lead = lambda: (edge_ms - now_ms()) // 1000 - premint - LEAD_IN  # noqa: E731
    offset = [lead() - WARM_UP_EARLIER]
    clock = lambda: now_ms() + offset[0] * 1000  # noqa: E731
    world.set_clock(seconds=offset[0])
    flow = events(clock)
    world.feed(islice(flow, CUSTOMERS))
    workers = [world.worker(name, ready=False) for name in ("w0", "w1")]
    for worker in workers:
        worker.await_ready(60)
    begun = time.monotonic()
    world.await_drained(HELD_BACK_AT_MOST)
    seconds = time.monotonic() - begun
    minted = lambda worker: worker.figures().sum("key_operations_total", op="mint")  # noqa: E731
    wait_until(lambda: sum(map(minted, workers)) >= CUSTOMERS, 10, "the mints are counted")
    rates = [minted(worker) / seconds for worker in workers]

    offset[0] = lead()
    world.set_clock(seconds=offset[0])
    crossing = Crossing(premint, rates, edge=time.monotonic() + (edge_ms - clock()) / 1000)
    with world.load(flow, RATE):
        while time.monotonic() < crossing.edge + AFTER + 1:
            of = [worker.figures() for worker in workers]
            crossing.looks.append(Look(time.monotonic(), of))
            time.sleep(0.05)  # between two looks
    world.await_drained(HELD_BACK_AT_MOST)
    preminted = total(worker.figures() for worker in workers).by("premint_slots_total", "outcome")
    print("pre-minted:", preminted)
    for worker in workers:
        worker.stop()
    return crossing, sum(preminted.values())


@pytest.mark.parametrize("premint", [PREMINT, 0] if LONG else [PREMINT], ids="premint-{}s".format)
def test_every_customer_crosses_the_hour_with_one_key_each(kafka, cassandra, make_world, premint):
    settings = {"ring": {"premint": f"{premint}s"}}
    world = make_world(kafka, store=cassandra, binary=TESTKIT, settings=settings)
    crossing, preminted = cross(world, premint)
    print(f"{CUSTOMERS} customers, {RATE} events/s, 2 workers, premint {premint} s\n{crossing.table()}")

    assert bool(preminted) == bool(premint), "it is the setting that mints before"
    findings = world.findings()
    assert_one_dek_per_slot(world, findings)
    hours = sorted({slot.hour for slot in findings.key_ids})
    assert len(hours) == 2 and set(findings.generations) == {0}
    for hour in hours:
        assert sum(slot.hour == hour for slot in findings.key_ids) == CUSTOMERS, f"hour {hour}"
