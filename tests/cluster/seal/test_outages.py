"""The store or the broker is away: the worker waits, says why, keeps its place, and goes on by itself."""

import signal
import sqlite3
import time
from contextlib import closing

from children import wait_until
from groups import assignment, settled
from oracle.events import job_events
from world import BRISK, BRISK_POLLS, LONG, seeded

STORE_AWAY = 300 if LONG else 15
BROKER_AWAY = 60 if LONG else 15


def test_a_store_that_is_away_changes_no_assignment_and_loses_nothing(kafka, make_world):
    world = make_world(kafka, settings={} if LONG else BRISK_POLLS)
    rng = seeded()
    workers = [world.worker("w0", lanes=2), world.worker("w1", lanes=2)]
    world.feed_some(job_events(rng), 5_000)
    world.await_drained()
    wait_until(lambda: settled(world), 30, "the group is stable")
    before = assignment(world)

    with closing(sqlite3.connect(world.store.path, isolation_level=None, timeout=30)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        away_since = time.monotonic()
        with world.load(job_events(rng, name="unknown"), 500):
            for worker in workers:
                reason = wait_until(worker.why_not_ready, 40, "/readyz says why", alive=worker)
                assert "store" in reason, reason
            while time.monotonic() < away_since + STORE_AWAY:
                assert assignment(world) == before
                time.sleep(1)  # a look each second
        lock.execute("ROLLBACK")

    for worker in workers:
        worker.await_ready(60)
    world.await_drained()
    assert assignment(world) == before
    for worker in workers:
        worker.stop()
    world.findings().assert_exactly_once()


def test_a_broker_that_stops_and_goes_on_loses_nothing(own_kafka, make_world):
    # The outage outlasts the members' sessions.
    world = make_world(own_kafka, settings={} if LONG else BRISK)
    workers = [world.worker("w0", lanes=2), world.worker("w1", lanes=2)]
    with world.load(job_events(seeded()), 2_000):
        time.sleep(2)  # the load has reached both
        own_kafka.kill(1, signal.SIGSTOP)
        away_since = time.monotonic()
        try:
            for worker in workers:
                reason = wait_until(worker.why_not_ready, BROKER_AWAY - 5, "/readyz says why", alive=worker)
            assert "kafka" in reason.lower() or "broker" in reason, reason
            time.sleep(max(0, away_since + BROKER_AWAY - time.monotonic()))  # the outage itself
        finally:
            own_kafka.kill(1, signal.SIGCONT)
        for worker in workers:
            worker.await_ready(90)
    world.await_drained()
    for worker in workers:
        worker.stop()
    world.findings().assert_exactly_once()
