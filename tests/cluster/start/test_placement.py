"""All workers place a slot in one partition of the output, whenever they started, while partitions are added and removed."""

import json
from collections import defaultdict
from itertools import islice

from children import wait_until
from oracle.envelope import read_head
from oracle.events import job_events
from parked import readiness, unmet
from world import BRISK, Worker, World, merged, seeded

PLACED = "HS1102"


def partitions_of_slots(world: World) -> dict[tuple[bytes, int], set[int]]:
    """By customer and hour. Each event is late by at most two hours, so its generations are within one hour, too."""
    found = defaultdict(set)
    for record in world.topics.read(world.output):
        found[record.key(), read_head(record.value()).hour].add(record.partition())
    return found


def events(name: str):
    return job_events(seeded(), customers=40, hours=2, name=name)


def until_both_seal(world: World, source, *workers: Worker):
    """Feeds the same slots to each partition of the input, until each worker has sealed some of them."""
    before = [worker.figures().sum("events_total", outcome="sealed") for worker in workers]

    def each_has_sealed() -> bool:
        world.feed(islice(source, 200))
        now = [worker.figures().sum("events_total", outcome="sealed") for worker in workers]
        return all(after > count for after, count in zip(now, before, strict=True))

    wait_until(each_has_sealed, 60, "each worker has sealed some")
    world.await_drained(30)


def placed(worker: Worker) -> list[tuple[int, int]]:
    """The numbers of used and unused partitions that a worker has logged."""
    lines = [json.loads(line) for line in worker.text().splitlines() if f'"{PLACED}"' in line]
    return [(line["partitions"], line["unused"]) for line in lines]


def test_workers_that_start_before_and_after_new_partitions_agree(kafka, make_world):
    world = make_world(kafka, partitions=2, settings=BRISK)
    source = events("early")
    first = world.worker("w0")
    world.feed_some(source, 400)
    world.await_drained(30)

    world.topics.add_partitions(world.output, 5)
    second = world.worker("w1")
    until_both_seal(world, source, first, second)
    slots = partitions_of_slots(world)
    assert {slot for slot, partitions in slots.items() if len(partitions) > 1} == set()
    assert set().union(*slots.values()) == {0, 1}, "added partitions stay empty"
    assert (placed(first), placed(second)) == ([(2, 0)], [(2, 3)])
    note = f"topic `{world.output}` has 5 partitions, and the workers use 2: `hourseal topics adopt` changes this"
    wait_until(lambda: all(note in readiness(it).get("notes", []) for it in (first, second)), 30, "both say so")
    assert first.is_ready() and second.is_ready() and note in world.cli("topics", "check")

    with world.load(events("meanwhile"), 500):
        assert f"{world.output}: the workers use 5 partitions, before: 2" in world.cli("topics", "adopt")
        wait_until(lambda: placed(first)[-1] == placed(second)[-1] == (5, 0), 30, "both follow")
    world.await_drained(30)
    slots = partitions_of_slots(world)
    until_both_seal(world, events("late"), first, second)
    new = {slot: partitions for slot, partitions in partitions_of_slots(world).items() if slot not in slots}
    assert {slot for slot, partitions in new.items() if len(partitions) > 1} == set()
    assert set().union(*new.values()) == {0, 1, 2, 3, 4}
    third = world.worker("w2")
    assert placed(third) == [(5, 0)]
    for worker in (first, second, third):
        worker.stop()
    world.findings().assert_exactly_once()


def test_a_topic_with_fewer_partitions_is_refused_until_it_is_adopted(kafka, make_world):
    world = make_world(kafka, partitions=2, settings=BRISK)
    worker = world.worker()
    settings = world.topics.settings(world.output)
    settings = {name: settings[name] for name in ("retention.ms", "max.message.bytes")}
    world.topics.replace(world.output, partitions=1, settings=settings)

    broken = f"topic `{world.output}`: partitions is 1, wanted at least 2"
    wait_until(lambda: unmet(worker) == {"topics"} and broken in str(readiness(worker)), 30, "it is not ready")
    for command in (["run"], ["topics", "check"]):
        assert broken in world.cli(*command, code=78, errors=True)
    assert "names no output topic" in world.cli("topics", "adopt", "--topic", world.input, code=64, errors=True)
    said = world.cli("topics", "adopt", "--topic", world.output)
    assert f"{world.output}: the workers use 1 partitions, before: 2" in said
    assert f"{world.output}: the workers use all 1 partitions" in world.cli("topics", "adopt")
    wait_until(worker.is_ready, 30, "it follows")
    world.feed_some(events("any"), 200)
    world.await_drained(30)
    worker.stop()
    world.findings().assert_exactly_once()


def test_output_partitions_that_follow_the_input_need_no_placement(kafka, make_world):
    """More of them are needed before the input gets more, so nothing is to be adopted."""
    world = make_world(kafka, partitions=2, settings=merged(BRISK, {"seal": {"partitioner": "input"}}))
    worker = world.worker()
    world.topics.add_partitions(world.output, 3)
    assert "adopt" not in world.cli("topics", "check")
    assert "nothing to adopt" in world.cli("topics", "adopt", code=78, errors=True)
    worker.stop()
    again = world.worker()
    assert placed(worker) == placed(again) == []
    again.stop()
