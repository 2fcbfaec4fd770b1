"""Brokers behind a fault proxy, one set per run; three brokers that a test may kill."""

import pytest
from proxied_kafka import ProxiedKafka
from servers import Kafka
from world import World, merged_all

# Longer than the longest delay of a fault, in the order that `config check` asks for: socket < transaction < session.
TIMEOUTS = {
    "kafka": {
        "consumer": {"session.timeout.ms": "6000", "heartbeat.interval.ms": "500", "socket.timeout.ms": "4000"},
        "producer": {"transaction.timeout.ms": "5000", "socket.timeout.ms": "4000"},
    }
}
# Everybody may do everything, until a test denies it.
ACLS = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}


@pytest.fixture(scope="session")
def proxied():
    with ProxiedKafka(settings=ACLS) as kafka:
        yield kafka


@pytest.fixture
def proxy(proxied):
    """At rest before and after each test; a rule that failed fails the test."""
    yield proxied.proxy
    proxied.proxy.rest()


@pytest.fixture
def make_proxied_world(proxied, proxy, make_world):
    """`make_proxied_world(partitions=1, binary=TESTKIT)`: workers are behind the proxy, what the test asks is not."""

    def make(settings: dict | None = None, **how) -> World:
        front = {"kafka": {"bootstrap": proxied.front}}
        return make_world(proxied, settings=merged_all(TIMEOUTS, front, settings or {}), **how)

    return make


@pytest.fixture
def three_brokers():
    with Kafka(nodes=3) as brokers:
        yield brokers
