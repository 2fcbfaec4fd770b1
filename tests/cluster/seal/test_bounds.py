"""A producer that makes up customers floods one partition with new slots: it alone is bounded, and nothing is lost."""

import json
from collections import Counter
from collections.abc import Iterator

from oracle.compare import Findings
from oracle.events import Event, now_ms, rfc3339
from parked import FLOWS_AGAIN, PARKED, await_parked, lines, notes
from plain import CUSTOMERS, plain_events
from topics import header
from world import BRISK, TESTKIT, merged

PARTITIONS, FLOODED = 4, 3
HEALTHY = list(range(FLOODED))
BUDGET, MADE_UP = 50, 170
SHORT_MINUTE = {"HOURSEAL_TESTKIT_SLOT_MINUTE_MS": "700"}


def budget(runaway_minutes: int = 0) -> dict:
    return merged(BRISK, {"lane": {"new_slots_per_minute": BUDGET, "runaway_minutes": runaway_minutes}})


def flood(count: int = MADE_UP) -> Iterator[Event]:
    """Each event has a customer of its own."""
    at = now_ms()
    for number in range(count):
        body = {"customer_id": f"made-up-{number}", "occurred_at": rfc3339(at)}
        yield Event(body["customer_id"].encode(), at, None, (), json.dumps(body).encode())


def assert_nothing_lost_or_doubled(findings: Findings):
    """A redrive seals in another order."""
    assert not (findings.lost or findings.doubled or findings.alien or findings.unopened or findings.wrong_slot)


def test_a_flood_of_customers_stops_its_partition_and_no_other(kafka, make_world):
    world, events = make_world(kafka, partitions=PARTITIONS, settings=budget()), plain_events()
    world.feed_some(events, 40)
    worker = world.worker()
    world.await_drained()
    before = world.topics.committed(world.group, world.input)[FLOODED]
    world.feed(flood(), partitions=[FLOODED])
    await_parked([worker], FLOODED, "slot-budget")
    assert f"more than {BUDGET} new slots" in notes(worker)[FLOODED].text
    world.feed_some(events, 300, partitions=HEALTHY)
    world.await_drained(partitions=HEALTHY)
    assert worker.is_ready()
    # Each time the batch ends before the first event over the budget. The minute began with the first customers.
    committed = world.topics.committed(world.group, world.input)[FLOODED] - before
    assert BUDGET - CUSTOMERS <= committed <= BUDGET * len(lines([worker], PARKED))
    worker.stop()
    said = len(lines([worker], PARKED))

    worker = world.worker(settings={"lane": {"new_slots_per_minute": 0}})
    world.await_drained()
    worker.stop()
    assert len(lines([worker], PARKED)) == said, "0 is no limit"
    world.findings().assert_exactly_once()


def test_a_flood_is_worked_off_budget_by_budget(kafka, make_world):
    world = make_world(kafka, partitions=PARTITIONS, binary=TESTKIT, settings=budget())
    world.env |= SHORT_MINUTE
    world.feed_some(plain_events(), 40)
    world.feed(flood(), partitions=[FLOODED])
    world.feed_some(plain_events(), 40)
    worker = world.worker()
    world.await_drained()
    parked, flowed = len(lines([worker], PARKED)), len(lines([worker], FLOWS_AGAIN))
    assert parked == flowed >= MADE_UP // BUDGET
    assert worker.figures().sum("new_slots_total") >= MADE_UP + 1
    worker.stop()
    world.findings().assert_exactly_once()
    assert world.topics.read(world.quarantine) == []


def test_a_runaway_makes_no_key_over_its_budget_and_a_redrive_seals_it(kafka, make_world):
    """After two minutes over the budget the partition flows; what is over goes to the quarantine, under no key of its own."""
    world = make_world(kafka, partitions=PARTITIONS, binary=TESTKIT, settings=budget(runaway_minutes=2))
    world.env |= SHORT_MINUTE
    count = 5 * MADE_UP
    world.feed(flood(count), partitions=[FLOODED])
    worker = world.worker()
    world.await_drained()
    assert len(lines([worker], PARKED)) == 2
    records = world.topics.read(world.quarantine)
    assert Counter(header(record, "hourseal-reason") for record in records) == {"too-many-slots": len(records)}
    assert {record.key() for record in records} == {b"~quarantine"}
    keys = Counter(slot.customer.startswith(b"made-up-") for slot in world.keys().rows())
    assert keys[True] == count - len(records), "no key of a quarantined event's customer"
    assert 3 * BUDGET <= keys[True] < count
    assert worker.figures().sum("quarantined_total", reason="too-many-slots") == len(records)
    worker.stop()

    redriven = json.loads(world.cli("quarantine", "redrive", "--json"))
    assert (redriven["sealed"], redriven["quarantined_again"]) == (len(records), 0)
    assert_nothing_lost_or_doubled(world.findings())
