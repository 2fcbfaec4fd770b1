"""A password of SASL that changes: after SIGHUP the living clients use the new one, so nothing has to restart."""

import json
import signal
import time

import pytest
from children import wait_until
from oracle.events import job_events
from scram_kafka import ScramKafka, settings
from world import seeded

OLD, NEW = "first-81c2", "second-4f9d"
# The broker asks for the password again after ten seconds.
REAUTHENTICATION = 10


@pytest.fixture
def broker():
    with ScramKafka() as broker:
        broker.set_password(OLD)
        yield broker


def lines(worker, code: str) -> list[dict]:
    found = [json.loads(line) for line in worker.text().splitlines() if line.startswith("{")]
    return [line for line in found if line.get("code") == code]


def seal(world):
    world.feed_some(job_events(seeded()), 1_000)
    world.await_drained()


def test_after_sighup_the_living_clients_use_the_new_password(broker, make_world, tmp_path):
    password = tmp_path / "password"
    password.write_text(OLD + "\n")
    world = make_world(broker, settings={"log": {"level": "info"}})
    worker = world.worker(settings=settings(broker, password))
    seal(world)
    broker.set_password(NEW)
    password.write_text(NEW + "\n")
    worker.send(signal.SIGHUP)
    wait_until(lambda: lines(worker, "HS1011"), 20, "the settings are read again", alive=worker)
    said = lines(worker, "HS1011")[-1]
    assert "kafka.sasl_password_file" in said["in_force"] and said["needs_restart"] == "nothing", said
    # Each connection has had to show the password again, and the first failure would be logged.
    time.sleep(3 * REAUTHENTICATION)
    seal(world)
    assert worker.is_ready() and "uthentication failed" not in worker.text(), worker.tail()
    assert OLD not in worker.text() and NEW not in worker.text()
    worker.stop()
    world.findings().assert_exactly_once()


def test_without_sighup_the_worker_says_that_its_password_is_refused(broker, make_world, tmp_path):
    """The control. SIGHUP then helps, without a restart."""
    password = tmp_path / "password"
    password.write_text(OLD + "\n")
    world = make_world(broker)
    worker = world.worker(settings=settings(broker, password))
    seal(world)
    broker.set_password(NEW)
    password.write_text(NEW + "\n")
    why = "authentication failed"
    wait_until(lambda: why in (worker.why_not_ready() or ""), 90, "/readyz says why", alive=worker)
    worker.send(signal.SIGHUP)
    wait_until(worker.is_ready, 90, "the worker is ready again", alive=worker)
    seal(world)
    worker.stop()
    world.findings().assert_exactly_once()
