"""Another member of a worker's group: its coming ends the generation that a transaction stands on."""

import threading

from confluent_kafka import Consumer
from kafka_faults import Gate
from world import World


class Guest:
    """Joins at once; `joined` opens when the group has a new generation with it."""

    def __init__(self, world: World):
        self._world = world
        self.joined = Gate()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(20)

    def _run(self):
        consumer = Consumer(
            {
                "bootstrap.servers": self._world.topics.bootstrap,
                "group.id": self._world.group,
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": 6_000,
                "heartbeat.interval.ms": 500,
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "log_level": 0,
            }
        )
        consumer.subscribe([self._world.input], on_assign=lambda *_: self.joined.open())
        while not self._stop.is_set():
            consumer.poll(0.1)
        consumer.close()
