"""What a worker asks of the brokers before it starts."""

import pytest
from servers import Kafka

VERIFICATION = "transaction.partition.verification.enable"


@pytest.fixture
def careless_broker():
    """Takes late records of a fenced producer."""
    with Kafka(settings={VERIFICATION: "false"}) as broker:
        yield broker


def test_brokers_that_do_not_verify_transactions_are_refused(careless_broker, make_world):
    world = make_world(careless_broker)
    worker = world.worker("w0", ready=False)
    assert worker.wait(30) == 78, worker.tail()
    assert f"broker 1: {VERIFICATION} is false" in worker.text()
    said = world.cli("topics", "check", code=78, errors=True)
    assert f"broker 1: {VERIFICATION} is false" in said
