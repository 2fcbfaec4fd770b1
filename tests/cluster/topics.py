"""What the tests ask a broker: topics, records, offsets, groups. All through librdkafka's Python client."""

import time
import uuid
from collections.abc import Iterable

from children import wait_until
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

COMMITTED, UNCOMMITTED = "read_committed", "read_uncommitted"
# A `max.message.bytes` that refuses every record. The broker has to write the markers of transactions: they have 78 bytes.
ONLY_MARKERS = "120"


class Topics:
    def __init__(self, bootstrap: str):
        self.bootstrap = bootstrap
        self.admin = AdminClient(self._client())

    def _client(self, **settings) -> dict:
        return {"bootstrap.servers": self.bootstrap, "log_level": 0, **settings}

    def create(
        self, *names: str, partitions: int = 1, settings: dict | None = None, replicas: list[list[int]] | None = None
    ):
        """`replicas`: the brokers of each partition, instead of `partitions` wherever the broker likes."""
        where = {"replica_assignment": replicas} if replicas else {}
        count = len(replicas) if replicas else partitions
        wanted = [NewTopic(name, num_partitions=count, config=settings or {}, **where) for name in names]
        for future in self.admin.create_topics(wanted).values():
            future.result(20)

    def delete(self, topic: str):
        (gone,) = self.admin.delete_topics([topic]).values()
        gone.result(20)
        wait_until(lambda: topic not in self.admin.list_topics(timeout=20).topics, 20, f"{topic} is gone")

    def replace(self, topic: str, **how):
        """Deletes a topic and creates it again; `how` as for `create`."""
        self.delete(topic)
        self.create(topic, **how)

    def add_partitions(self, topic: str, count: int):
        """Gives a topic more partitions; `count` is how many it has then."""
        (grown,) = self.admin.create_partitions([NewPartitions(topic, count)]).values()
        grown.result(20)
        wait_until(lambda: self.partitions(topic) == count, 20, f"{topic} has {count} partitions")

    def alter(self, topic: str, **settings: str):
        """`alter("t", max_message_bytes="2000")`; the broker has it when this returns."""
        change = [
            ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
            for name, value in settings.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=change)
        for future in self.admin.incremental_alter_configs([resource]).values():
            future.result(20)
        wanted = {entry.name: entry.value for entry in change}
        wait_until(lambda: wanted.items() <= self.settings(topic).items(), 20, f"{topic} has its new settings")

    def delete_before(self, topic: str, ends: dict[int, int]):
        """Deletes what each partition holds before an offset, as retention does."""
        asked = [TopicPartition(topic, partition, offset) for partition, offset in ends.items()]
        for future in self.admin.delete_records(asked).values():
            future.result(20)

    def settings(self, topic: str) -> dict[str, str]:
        (future,) = self.admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
        return {name: entry.value for name, entry in future.result(20).items()}

    def partitions(self, topic: str) -> int:
        return len(self.admin.list_topics(topic, timeout=20).topics[topic].partitions)

    def leader(self, topic: str, partition: int) -> int:
        """The broker that leads a partition; -1 for none."""
        return self.admin.list_topics(topic, timeout=20).topics[topic].partitions[partition].leader

    def ends(self, topic: str, isolation: str = COMMITTED, partitions: Iterable[int] | None = None) -> dict[int, int]:
        """End offsets, of all partitions unless some are named; with read_committed the last stable ones."""
        level = IsolationLevel.READ_COMMITTED if isolation == COMMITTED else IsolationLevel.READ_UNCOMMITTED
        wanted = range(self.partitions(topic)) if partitions is None else partitions
        asked = {TopicPartition(topic, number): OffsetSpec.latest() for number in wanted}
        answers = self.admin.list_offsets(asked, isolation_level=level, request_timeout=20)
        return {place.partition: future.result(20).offset for place, future in answers.items()}

    def marks(self, topic: str) -> list[tuple[int, int]]:
        """Where each partition begins and ends."""
        consumer = Consumer(self._client(**{"group.id": "marks"}))
        places = [TopicPartition(topic, number) for number in range(self.partitions(topic))]
        found = [consumer.get_watermark_offsets(place, 20) for place in places]
        consumer.close()
        return found

    def is_stable(self, topic: str) -> bool:
        """Whether no transaction is open on it. The broker ends one partition by partition, after its client has the answer."""
        return self.ends(topic, COMMITTED) == self.ends(topic, UNCOMMITTED)

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Committed offsets of a group; partitions without one are absent."""
        return {place.partition: place.offset for place in self.commits(group, topic)}

    def commits(self, group: str, topic: str) -> list[TopicPartition]:
        """As `committed`, each with its metadata."""
        asked = [ConsumerGroupTopicPartitions(group)]
        (future,) = self.admin.list_consumer_group_offsets(asked, request_timeout=5).values()
        try:
            found = future.result(20).topic_partitions
        except KafkaException:
            # This client goes on asking a coordinator that has died; a new one looks for its successor.
            self.admin = AdminClient(self._client())
            raise
        return [place for place in found if place.topic == topic and place.offset >= 0]

    def commit(self, group: str, *places: TopicPartition):
        """Commits as another program that has the group's name. The group must have no member."""
        consumer = Consumer(self._client(**{"group.id": group, "enable.auto.commit": False}))
        try:
            done = consumer.commit(offsets=list(places), asynchronous=False)
        finally:
            consumer.close()
        assert all(place.error is None for place in done), done

    def group(self, group: str):
        (future,) = self.admin.describe_consumer_groups([group], request_timeout=20).values()
        return future.result(20)

    def await_ended(self, topic: str):
        """Waits until every transaction that is open on the topic now has ended there."""
        written = self.ends(topic, UNCOMMITTED)
        wait_until(
            lambda: all(end >= written[number] for number, end in self.ends(topic, COMMITTED).items()),
            30,
            f"the transactions open on {topic} end",
        )

    def read(self, topic: str, isolation: str = COMMITTED) -> list[Message]:
        """Everything that the topic holds, each partition in its own order.

        What a client has just committed is in it: a broker ends a transaction partition by partition, after it has
        answered the client, so this waits for it. `peek` does not wait.
        """
        if isolation == COMMITTED:
            self.await_ended(topic)
        return self.peek(topic, isolation)

    def peek(self, topic: str, isolation: str = COMMITTED) -> list[Message]:
        """What a reader of this isolation is given now, each partition in its own order."""
        consumer = Consumer(
            self._client(
                **{
                    "group.id": uuid.uuid4().hex,
                    "isolation.level": isolation,
                    "enable.auto.commit": False,
                    "enable.partition.eof": True,
                    "auto.offset.reset": "error",
                    "fetch.queue.backoff.ms": 5,
                    # The broker says at once that there is no more.
                    "fetch.wait.max.ms": 10,
                }
            )
        )
        open_partitions = set(range(self.partitions(topic)))
        consumer.assign([TopicPartition(topic, number, 0) for number in open_partitions])
        records = []
        heard = time.monotonic()
        while open_partitions:
            batch = consumer.consume(10_000, 0.02)
            heard = time.monotonic() if batch else heard
            assert time.monotonic() - heard < 20, f"{topic}: nothing, not even the end of {open_partitions}"
            for message in batch:
                if message.error() is None:
                    records.append(message)
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    open_partitions.discard(message.partition())
                else:
                    raise AssertionError(message.error())
        consumer.close()
        return records


def header(record: Message, name: str) -> str:
    (value,) = [value for found, value in record.headers() if found == name]
    return value.decode()
