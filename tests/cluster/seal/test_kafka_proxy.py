"""Does the proxy do what its faults are named after? If not, no story that is played through it means anything."""

import time

import pytest
from children import wait_until
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from kafka_faults import Direction, Fault, Gate, Kind, Replay
from kafka_wire import Api, Request
from topics import Topics

NONE, CONCURRENT_TRANSACTIONS = 0, 51


class First:
    """The first request of an API meets the fault; the later ones are counted."""

    def __init__(self, api: Api, fault: Fault):
        self.api, self.fault, self.asked = api, fault, 0

    async def __call__(self, request: Request) -> Fault | None:
        if request.api != self.api or "proxy-test" not in (request.transactional_id or ""):
            return None
        self.asked += 1
        return self.fault if self.asked == 1 else None


@pytest.fixture
def topic(proxied):
    topics = Topics(proxied.bootstrap)
    name = f"proxy-test-{time.time_ns()}"
    topics.create(name)
    return topics, name


def put_one(proxied, name: str):
    """One record in one transaction, through the proxy."""
    producer = Producer(
        {
            "bootstrap.servers": proxied.front,
            "transactional.id": name,
            "transaction.timeout.ms": 5_000,
            "socket.timeout.ms": 4_000,
            "log_level": 0,
        }
    )
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(name, b"x", partition=0)
    producer.commit_transaction(20)


ONE_WAY = {Kind.LATE, Kind.SWALLOW}
FAULTS = [(kind, way) for kind in Kind for way in Direction if way == Direction.REQUEST or kind not in ONE_WAY]


@pytest.mark.parametrize(("kind", "direction"), FAULTS)
def test_a_transaction_survives_each_fault_of_its_end(proxied, proxy, topic, tmp_path, kind, direction):
    topics, name = topic
    rule = First(Api.EndTxn, Fault(kind, direction, seconds=0.3))
    log = proxy.play(rule, tmp_path / "faults.jsonl")
    put_one(proxied, name)
    assert [message.value() for message in topics.read(name)] == [b"x"]
    unanswered = {Kind.DROP, Kind.LATE, Kind.SWALLOW} | ({Kind.HALF_CLOSE} if direction == Direction.ANSWER else set())
    assert (rule.asked > 1) == (kind in unanswered), "a client that gets no answer asks again"
    (line,) = log.lines()
    assert (line["api"], line["nth"], line["kind"], line["direction"]) == ("EndTxn", 1, kind, direction)


def test_a_late_request_reaches_the_broker_after_its_client_has_left(proxied, proxy, topic, tmp_path):
    _, name = topic
    fault = Fault(Kind.LATE, until=Gate())
    proxy.play(First(Api.EndTxn, fault), tmp_path / "faults.jsonl")
    put_one(proxied, name)
    assert not fault.answered.is_open
    fault.until.open()
    fault.answered.wait(10, "the late request is answered")
    assert fault.error in (NONE, CONCURRENT_TRANSACTIONS), "the transaction has ended in the same way, or is about to"


def test_a_list_of_faults_is_played_again(proxied, proxy, topic, tmp_path):
    _, name = topic
    log = proxy.play(First(Api.AddPartitionsToTxn, Fault(Kind.DROP)), tmp_path / "faults.jsonl")
    put_one(proxied, name)
    again = proxy.play(Replay(log.lines()), tmp_path / "again.jsonl")
    put_one(proxied, name)
    ((first,), (second,)) = log.lines(), again.lines()
    assert {**first, "ms": 0, "connection": 0} == {**second, "ms": 0, "connection": 0}


@pytest.mark.parametrize("away", ["silence", "refuse"])
def test_a_proxy_that_is_away_answers_nobody_until_it_is_mended(proxied, proxy, away):
    getattr(proxy, away)()
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": proxied.front, "log_level": 0}).list_topics(timeout=2)
    proxy.mend()
    admin = AdminClient({"bootstrap.servers": proxied.front, "log_level": 0})
    wait_until(lambda: admin.list_topics(timeout=5).brokers, 10, "the broker answers through the proxy")
