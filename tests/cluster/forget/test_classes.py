"""What is kept for less has a topic of its own, so that nothing that is kept for longer stands before it."""

import json
from itertools import count

import pytest
from children import wait_until
from office import SETTLED, Office, ask
from oracle.events import HOUR_MS, Event, now_ms, rfc3339
from sweeps import await_swept
from world import TESTKIT, World

HOUR = now_ms() // HOUR_MS - 1
RECLAIM = {"retention": {"default": "2h", "sweep": "1s"}, "reclaim": {"every": "1s"}}


def put(world: World, serial, *customers: str):
    """An event of each, in that order, all in one partition."""
    for customer in customers:
        at = HOUR * HOUR_MS + next(serial)
        payload = b'{"customer_id":"%s","occurred_at":"%s"}' % (customer.encode(), rfc3339(at).encode())
        world.feed([Event(customer.encode(), at, None, (), payload)])
    world.await_drained()


def begin(kafka, make_world, tmp_path, classes: dict[str, str]) -> tuple[World, object]:
    """Bravo is kept for ten days, cargo for three, acme for two hours."""
    world = make_world(kafka, partitions=1, binary=TESTKIT, settings=RECLAIM)
    world.office = Office(tmp_path / "office", world.binary)
    world.env |= SETTLED
    world.classes = {longest: f"{world.name}.{suffix}" for longest, suffix in classes.items()}
    world.office.settings = {**world.office.settings, "topics": {"class": world.classes}}
    world.set_hour(HOUR + 1.4)
    worker = world.worker(settings=world.office.settings)
    for customer, time in (("bravo", "240h"), ("cargo", "72h")):
        ask(world, "retention", "set", "--customer", customer, "--keep", time, "--sign-with", world.office.key("dpo"))
    return world, worker


def found(world: World) -> dict[str, list[tuple[str, str]]]:
    """Customer and outcome of each record, by topic."""
    lines = world.cli("open", "--from-beginning", "--json", settings=world.office.settings).splitlines()
    topics: dict[str, list[tuple[str, str]]] = {}
    for line in map(json.loads, lines):
        topics.setdefault(line["topic"], []).append((line["customer"], line["outcome"]))
    return topics


def start_of(world: World, topic: str) -> int:
    ((low, _),) = world.topics.marks(topic)
    return low


def test_each_hour_goes_to_its_shortest_class_and_is_reclaimed_there(kafka, make_world, tmp_path):
    world, worker = begin(kafka, make_world, tmp_path, {"3h": "short", "4d": "middle"})
    short, middle = world.classes.values()
    serial = count()
    put(world, serial, "bravo", "acme", "cargo", "acme")
    opened = [(customer, "opened") for customer in ("acme", "acme")]
    assert found(world) == {world.output: [("bravo", "opened")], short: opened, middle: [("cargo", "opened")]}
    plan = world.cli("erase", "plan", "--customer", "cargo", "--from", str(HOUR), "--to", str(HOUR), settings=world.office.settings)
    assert middle in plan and short not in plan

    # Kept for longer from now on: what comes goes elsewhere, what is there stays.
    ask(world, "retention", "set", "--customer", "cargo", "--keep", "240h", "--sign-with", world.office.key("dpo"))
    put(world, serial, "cargo")
    assert found(world)[world.output] == [("bravo", "opened"), ("cargo", "opened")]
    assert found(world)[middle] == [("cargo", "opened")]

    world.set_hour(HOUR + 3.5)
    await_swept(world, 1)
    wait_until(lambda: start_of(world, short) > 0, 30, "the worker has it deleted", alive=worker)
    left = {world.output: [("bravo", "opened"), ("cargo", "opened")], middle: [("cargo", "opened")]}
    assert found(world) == left, "nothing of acme is left, and all of the others"
    assert worker.figures().sum("reclaimed_records_total") == 2
    assert worker.figures().sum("reclaimed_bytes_total") > 2 * 68
    assert (start_of(world, world.output), start_of(world, middle)) == (0, 0)
    worker.stop()


def test_without_classes_what_is_kept_for_long_keeps_the_rest_there(kafka, make_world, tmp_path):
    world, worker = begin(kafka, make_world, tmp_path, {})
    put(world, count(), "bravo", "acme", "cargo", "acme")
    world.set_hour(HOUR + 3.5)
    await_swept(world, 1)
    assert world.cli_json("reclaim", "--json") == []
    outcomes = [("bravo", "opened"), ("acme", "erased"), ("cargo", "opened"), ("acme", "erased")]
    assert found(world) == {world.output: outcomes} and start_of(world, world.output) == 0
    worker.stop()


@pytest.mark.parametrize("setting", [{"cleanup_policy": "compact"}, {"retention_ms": "3600000"}])
def test_a_class_topic_that_loses_records_before_they_are_due_is_refused(kafka, make_world, tmp_path, setting):
    world, worker = begin(kafka, make_world, tmp_path, {"3h": "short"})
    worker.stop()
    (short,) = world.classes.values()
    world.topics.alter(short, **setting)
    refused = world.cli("topics", "check", code=78, errors=True, settings=world.office.settings)
    assert short in refused and next(iter(setting)).replace("_", ".") in refused
