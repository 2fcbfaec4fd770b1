"""A reader that runs while faults happen: what it has seen is never withdrawn, and is all of the output in the end."""

import threading

from children import wait_until
from confluent_kafka import Consumer, TopicPartition
from topics import COMMITTED
from world import World

# How long after the last fault everything is committed.
CATCH_UP = 30


class Witness:
    """Another read_committed client of the output. The topic must be there."""

    def __init__(self, world: World):
        self._world = world
        self._seen: dict[tuple[int, int], bytes] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(20)

    def _read(self):
        consumer = Consumer(
            {
                "bootstrap.servers": self._world.topics.bootstrap,
                "group.id": f"witness.{self._world.name}",
                "isolation.level": COMMITTED,
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "log_level": 0,
            }
        )
        partitions = range(self._world.topics.partitions(self._world.output))
        consumer.assign([TopicPartition(self._world.output, number, 0) for number in partitions])
        while not self._stop.is_set():
            for message in consumer.consume(1_000, 0.1):
                if message.error() is None:
                    self._seen[message.partition(), message.offset()] = message.value()
        consumer.close()

    def assert_agrees(self):
        """Once the output is at rest: it holds what was seen, and what it holds was seen."""
        records = self._world.topics.read(self._world.output)
        output = {(record.partition(), record.offset()): record.value() for record in records}
        withdrawn = [place for place, value in self._seen.items() if output.get(place) != value]
        assert not withdrawn, f"{len(withdrawn)} records were seen and are gone or changed: {withdrawn[:3]}"
        wait_until(lambda: len(self._seen) == len(output), 20, "the witness has seen all of the output")


def await_settled(world: World):
    """All of the input is committed and no transaction is open, at any topic that the worker writes to."""
    world.await_drained(CATCH_UP)
    for topic in (world.quarantine, "__consumer_offsets"):
        wait_until(lambda topic=topic: world.topics.is_stable(topic), 20, f"no transaction is open on {topic}")
    assert world.topics.committed(world.group, world.input) == {
        partition: end for partition, end in world.topics.ends(world.input).items() if end
    }


def assert_nothing_happened(world: World, witness: Witness):
    """What holds after every fault: each event once and in its order, nothing withdrawn, nothing left open."""
    await_settled(world)
    witness.assert_agrees()
    assert world.topics.read(world.quarantine) == []
    world.findings().assert_exactly_once()
