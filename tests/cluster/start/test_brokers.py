"""What a worker asks of the brokers before it starts."""

import pytest
from servers import Kafka

LONGEST = "transaction.max.timeout.ms"
VERIFICATION = "transaction.partition.verification.enable"


@pytest.fixture
def careless_broker():
    """Takes late records of a fenced producer."""
    with Kafka(settings={VERIFICATION: "false"}) as broker:
        yield broker


def test_a_broker_with_a_shorter_transaction_timeout_is_refused(make_world):
    """Both settings are named, and the worker does not try for ever."""
    with Kafka(settings={LONGEST: "10000"}) as hasty_broker:
        world = make_world(hasty_broker)
        worker = world.worker("w0", ready=False)
        assert worker.wait(30) == 78, worker.tail()
        for text in (worker.text(), world.cli("topics", "check", code=78, errors=True)):
            assert f"broker 1: {LONGEST} is 10000, wanted at least 15000" in text
            assert "transaction.timeout.ms" in text


def test_brokers_that_do_not_verify_transactions_are_refused(careless_broker, make_world):
    world = make_world(careless_broker)
    worker = world.worker("w0", ready=False)
    assert worker.wait(30) == 78, worker.tail()
    assert f"broker 1: {VERIFICATION} is false" in worker.text()
    said = world.cli("topics", "check", code=78, errors=True)
    assert f"broker 1: {VERIFICATION} is false" in said
