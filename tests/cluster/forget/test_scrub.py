"""Plaintext that is sealed leaves the input, where that is wanted, and never before every group that is named has read it."""

import json
import os
from itertools import count

from children import wait_until
from confluent_kafka import Consumer, TopicPartition
from oracle.events import HOUR_MS, Event, now_ms, rfc3339
from world import World

HOUR = now_ms() // HOUR_MS - 1
SEGMENT = 1 << 20
PARTITIONS = 2
SCRUB = {"scrub": {"every": "1s"}}
serial = count()


def event(text: bytes) -> Event:
    at = HOUR * HOUR_MS + next(serial)
    payload = b'{"customer_id":"acme","occurred_at":"%s","text":"%s"}' % (rfc3339(at).encode(), text)
    return Event(b"acme", at, None, (), payload)


def fill(world: World):
    """More than a segment of each partition, of random bytes."""
    world.feed([event(os.urandom(8_000).hex().encode()) for _ in range(PARTITIONS * (SEGMENT // 16_000 + 20))], stamped=True)


def feed_canary(world: World) -> bytes:
    """Eight events in the first segments, and more than that segment behind them."""
    world.topics.alter(world.input, segment_bytes=str(SEGMENT), file_delete_delay_ms="100")
    canary = b"canary-" + os.urandom(16).hex().encode()
    world.feed([event(canary) for _ in range(8)], stamped=True)
    fill(world)
    return canary


def is_on_disk(world: World, text: bytes) -> bool:
    """In any file that the broker has of the input, also in those that wait to be unlinked."""
    (data,) = world.kafka.data_dirs
    files = [file for folder in data.glob(f"{world.input}-*") for file in folder.iterdir()]
    contents = [content_of(file) for file in files if ".log" in file.name]
    assert any(contents)
    return any(text in content for content in contents)


def content_of(file) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # unlinked meanwhile
        return b""


def commit(world: World, group: str, offsets: list[int]):
    consumer = Consumer({"bootstrap.servers": world.kafka.bootstrap, "group.id": group, "log_level": 0})
    places = [TopicPartition(world.input, number, offset) for number, offset in enumerate(offsets)]
    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()


def exposure(worker) -> float:
    return worker.figures().sum("plaintext_exposure_seconds")


def test_sealed_plaintext_leaves_the_inputs_segments(kafka, make_world):
    world = make_world(kafka, partitions=PARTITIONS)
    canary = feed_canary(world)
    worker = world.worker()
    world.await_drained()
    assert is_on_disk(world, canary), "without a scrub it is there"
    oldest = (now_ms() - (HOUR + 1) * HOUR_MS) / 1000
    wait_until(lambda: exposure(worker) > oldest, 30, "it says how old the oldest is, at its first look")
    worker.stop()

    worker = world.worker(settings=SCRUB)
    wait_until(lambda: not is_on_disk(world, canary), 30, "scrub, look of the broker and its delay are a second each")
    assert [low for low, _ in world.topics.marks(world.input)] == [high for _, high in world.topics.marks(world.input)]
    wait_until(lambda: exposure(worker) == 0, 30, "nothing is exposed")

    # What comes later is sealed as ever.
    world.feed([event(b"later") for _ in range(100)])
    world.await_drained()
    worker.stop()
    world.findings().assert_exactly_once()


def test_nothing_goes_that_the_slowest_named_group_has_still_to_read(kafka, make_world):
    world = make_world(kafka, partitions=PARTITIONS)
    slow, fast = f"{world.name}.audit", f"{world.name}.fast"
    canary = feed_canary(world)
    ends = [high for _, high in world.topics.marks(world.input)]
    commit(world, fast, ends)
    worker = world.worker(settings={"scrub": {"every": "1s", "groups": [fast, slow]}})
    world.await_drained()
    log = world.folder / "w0.log"
    wait_until(lambda: "HS1417" in log.read_text(), 30, "it says that a group has committed nothing")
    assert slow in log.read_text()
    assert [low for low, _ in world.topics.marks(world.input)] == [0] * PARTITIONS

    # The canary stands at the first four offsets of each partition.
    commit(world, slow, [2] * PARTITIONS)
    wait_until(lambda: [low for low, _ in world.topics.marks(world.input)] == [2] * PARTITIONS, 30, "as far as the slow one has read")
    fill(world)
    world.await_drained()
    commit(world, fast, [high for _, high in world.topics.marks(world.input)])
    assert [low for low, _ in world.topics.marks(world.input)] == [2] * PARTITIONS
    assert is_on_disk(world, canary), "the slow group can still read it"

    commit(world, slow, [high for _, high in world.topics.marks(world.input)])
    wait_until(lambda: not is_on_disk(world, canary), 30, "the slow one has read it")
    worker.stop()
    world.findings().assert_exactly_once()


def test_topics_check_says_how_long_plaintext_stays(kafka, make_world):
    world = make_world(kafka, partitions=PARTITIONS)
    world.cli("topics", "create")
    world.topics.alter(world.input, retention_ms="7200000", segment_ms="3600000")

    def window(settings: dict | None = None) -> dict:
        lines = world.cli("topics", "check", "--json", settings=settings).splitlines()
        (found,) = [line for line in lines if "plaintext_ms" in line]
        return json.loads(found)["plaintext_ms"]

    assert window() == {"busy": 10_800_000, "idle": 7_200_000}
    assert window(SCRUB) == {"busy": 3_601_000, "idle": 7_200_000}
    world.topics.alter(world.input, retention_ms="-1")
    assert window() == {"busy": None, "idle": None}
    world.topics.alter(world.input, cleanup_policy="compact")
    world.cli("topics", "check")
    assert "cleanup.policy" in world.cli("topics", "check", code=78, errors=True, settings=SCRUB)
