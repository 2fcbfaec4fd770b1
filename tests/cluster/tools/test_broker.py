"""Does the broker keep the semantics that exactly-once rests on? If not, no later result means anything."""

import uuid

import pytest
from children import wait_until
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from topics import COMMITTED, UNCOMMITTED, Topics

BRISK = {"heartbeat.interval.ms": 300}  # rebalances are noticed by heartbeats


class Broker:
    """Short words for what the checks do; names are fresh for each check."""

    def __init__(self, bootstrap: str):
        self.topics = Topics(bootstrap)
        self._client = {"bootstrap.servers": bootstrap, "log_level": 0}
        self._consumers = []

    def topic(self, partitions: int = 1) -> str:
        name = f"probe-{uuid.uuid4().hex[:8]}"
        self.topics.create(name, partitions=partitions)
        return name

    def producer(self, **settings) -> Producer:
        return Producer({**self._client, **settings})

    def transactional(self, name: str, timeout_ms: int = 60_000) -> Producer:
        producer = self.producer(**{"transactional.id": name, "transaction.timeout.ms": timeout_ms})
        producer.init_transactions(15)
        return producer

    def member(self, group: str, topic: str, **settings) -> Consumer:
        base = {
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": COMMITTED,
        }
        consumer = Consumer({**self._client, **base, **settings})
        consumer.subscribe([topic])
        self._consumers.append(consumer)
        return consumer

    def put(self, topic: str, *values: bytes, **settings):
        producer = self.producer(**settings)
        for value in values:
            producer.produce(topic, value, partition=0)
        assert producer.flush(15) == 0

    def values(self, topic: str) -> list[bytes]:
        """What the topic holds once its transactions have ended."""
        return [record.value() for record in self.topics.read(topic)]

    def seen(self, topic: str, isolation: str = COMMITTED) -> list[bytes]:
        """What a reader is given now, whatever is still open."""
        return [record.value() for record in self.topics.peek(topic, isolation)]

    def close(self):
        for consumer in self._consumers:
            consumer.close()


@pytest.fixture
def broker(kafka):
    broker = Broker(kafka.bootstrap)
    yield broker
    broker.close()


def first(consumer: Consumer):
    def poll():
        message = consumer.poll(0.2)
        return message if message is not None and message.error() is None else None

    return wait_until(poll, 20, "a record arrives", every=0)


def place(topic: str, offset: int) -> list[TopicPartition]:
    return [TopicPartition(topic, 0, offset)]


def committed(consumer: Consumer, topic: str, seconds: float = 10) -> int:
    return consumer.committed([TopicPartition(topic, 0)], timeout=seconds)[0].offset


def test_a_record_is_kept(broker):
    topic = broker.topic()
    broker.put(topic, b"x")
    assert broker.values(topic) == [b"x"]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_a_compressed_batch_is_kept(broker, codec):
    topic = broker.topic()
    broker.put(topic, *[b"y" * 500] * 50, **{"compression.type": codec, "linger.ms": 50})
    assert broker.values(topic) == [b"y" * 500] * 50


def test_an_idempotent_producer_is_accepted(broker):
    topic = broker.topic()
    broker.put(topic, b"x", **{"enable.idempotence": True})
    assert broker.values(topic) == [b"x"]


def test_a_committed_transaction_is_seen(broker):
    topic = broker.topic()
    producer = broker.transactional(topic)
    producer.begin_transaction()
    producer.produce(topic, b"committed")
    producer.commit_transaction(10)
    assert broker.values(topic) == [b"committed"]


def test_an_aborted_transaction_is_never_seen(broker):
    topic = broker.topic()
    producer = broker.transactional(topic)
    producer.begin_transaction()
    producer.produce(topic, b"aborted")
    producer.flush(10)
    producer.abort_transaction(10)
    assert broker.values(topic) == []


def test_an_open_transaction_is_seen_by_uncommitted_readers_only(broker):
    topic = broker.topic()
    producer = broker.transactional(topic)
    producer.begin_transaction()
    producer.produce(topic, b"open")
    producer.flush(10)
    assert broker.seen(topic) == []
    assert broker.seen(topic, UNCOMMITTED) == [b"open"]
    producer.abort_transaction(10)


def test_an_open_transaction_holds_back_what_was_committed_behind_it(broker):
    topic = broker.topic()
    early, late = broker.transactional(f"{topic}-1"), broker.transactional(f"{topic}-2")
    early.begin_transaction()
    early.produce(topic, b"early")
    early.flush(10)
    late.begin_transaction()
    late.produce(topic, b"late")
    late.commit_transaction(10)
    assert broker.seen(topic) == []
    early.commit_transaction(10)
    assert broker.values(topic) == [b"early", b"late"]


def test_a_group_keeps_what_it_commits(broker):
    topic = broker.topic()
    broker.put(topic, b"0", b"1")
    member = broker.member(topic, topic)
    member.commit(first(member), asynchronous=False)
    assert committed(member, topic) == 1


def test_offsets_of_a_transaction_count_only_when_it_commits(broker):
    topic, output = broker.topic(), broker.topic()
    broker.put(topic, *[b"x"] * 5)
    member = broker.member(topic, topic)
    first(member)
    producer = broker.transactional(topic)

    def transaction(value: bytes, offset: int):
        producer.begin_transaction()
        producer.produce(output, value)
        producer.send_offsets_to_transaction(place(topic, offset), member.consumer_group_metadata(), 10)

    transaction(b"aborted", 2)
    producer.abort_transaction(10)
    assert committed(member, topic) < 0
    transaction(b"committed", 3)
    producer.commit_transaction(10)
    assert committed(member, topic) == 3
    assert broker.values(output) == [b"committed"]


def test_offsets_pending_in_a_transaction_are_not_told(broker):
    topic = broker.topic()
    broker.put(topic, b"x")
    member = broker.member(topic, topic)
    first(member)
    producer = broker.transactional(topic)
    producer.begin_transaction()
    producer.send_offsets_to_transaction(place(topic, 1), member.consumer_group_metadata(), 10)
    with pytest.raises(KafkaException):
        committed(member, topic, seconds=3)
    producer.abort_transaction(10)


def test_a_zombie_producer_is_fenced(broker):
    topic = broker.topic()
    zombie = broker.transactional(topic)
    zombie.begin_transaction()
    zombie.produce(topic, b"zombie")
    zombie.flush(10)
    broker.transactional(topic)
    with pytest.raises(KafkaException) as refusal:
        zombie.commit_transaction(10)
    assert refusal.value.args[0].fatal()
    assert broker.values(topic) == []


def test_offsets_of_a_past_generation_are_refused(broker):
    topic, output = broker.topic(), broker.topic()
    broker.put(topic, b"x")
    old = broker.member(topic, topic, **BRISK)
    first(old)
    past = old.consumer_group_metadata()
    new = broker.member(topic, topic, **BRISK)

    def rebalanced():
        old.poll(0.1)
        new.poll(0.1)
        group = broker.topics.group(topic)
        return len(group.members) == 2 and group.state.name == "STABLE"

    wait_until(rebalanced, 30, "the group has two members")
    producer = broker.transactional(topic)
    producer.begin_transaction()
    producer.produce(output, b"stale")
    with pytest.raises(KafkaException) as refusal:
        producer.send_offsets_to_transaction(place(topic, 1), past, 10)
        producer.commit_transaction(10)
    assert refusal.value.args[0].txn_requires_abort()
    producer.abort_transaction(10)
    assert broker.values(output) == []


def test_an_abandoned_transaction_is_aborted_by_its_timeout(broker):
    topic = broker.topic()
    producer = broker.transactional(topic, timeout_ms=3_000)
    producer.begin_transaction()
    producer.produce(topic, b"abandoned")
    producer.flush(10)
    broker.put(topic, b"next")
    wait_until(lambda: broker.seen(topic) == [b"next"], 25, "the record behind the abandoned transaction is seen")


def test_deleted_records_move_the_log_start(broker):
    topic = broker.topic()
    broker.put(topic, *[b"x"] * 5)
    (future,) = broker.topics.admin.delete_records(place(topic, 3)).values()
    assert future.result(10).low_watermark == 3


def test_a_member_of_the_new_group_protocol_is_served(broker):
    topic = broker.topic()
    broker.put(topic, b"x")
    member = broker.member(topic, topic, **{"group.protocol": "consumer"})
    assert first(member).value() == b"x"


def test_two_cooperative_members_share_four_partitions(broker):
    topic = broker.topic(partitions=4)
    settings = {"partition.assignment.strategy": "cooperative-sticky", **BRISK}
    members = [broker.member(topic, topic, **settings) for _ in range(2)]

    def shares():
        for member in members:
            member.poll(0.1)
        return [len(member.assignment()) for member in members]

    wait_until(lambda: shares() == [2, 2], 30, "each member has two partitions")


def test_topic_settings_can_be_changed_and_read(broker):
    topic = broker.topic()
    broker.topics.alter(topic, retention_ms="60000")
    assert broker.topics.settings(topic)["retention.ms"] == "60000"
