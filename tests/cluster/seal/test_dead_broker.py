"""One of three brokers is dead: its connections cannot be opened, which carries no request and costs no producer.

It is the one that coordinated the group: the lanes have to find its successor."""

import time

from oracle.events import job_events
from world import QUICK_SESSION, seeded

BATCHES = 20


def producers_replaced(worker) -> float:
    figures = worker.figures()
    return sum(figures.sum("transactions_total", outcome=outcome) for outcome in ("unknown", "fenced"))


def drained(world, worker):
    """The worker that has drained the input: this one, or the one that follows it.

    librdkafka 2.12.1 sets a time limit for a request to a group's coordinator and never looks at it (`creq_ts_timeout` in
    rdkafka_coord.c). If it asks too early who follows a dead coordinator, `send_offsets_to_transaction` waits until another
    connection comes or goes. The watchdog ends such a worker after two minutes; nothing is committed, and the next start
    continues.
    """
    until = time.monotonic() + 240
    while world.lag() != 0:
        assert time.monotonic() < until, worker.tail()
        if not worker.alive:
            assert worker.exit_code == 69 and "no progress in a Kafka call" in worker.tail(), worker.tail()
            worker = world.worker("w0", lanes=2)
        time.sleep(0.2)
    return worker


def test_a_dead_broker_of_three_costs_no_producer_per_batch(three_brokers, make_world):
    world = make_world(three_brokers, settings=QUICK_SESSION)
    events = job_events(seeded())
    worker = world.worker("w0", lanes=2)
    world.feed_some(events, 2_000)
    world.await_drained()
    three_brokers.kill(world.topics.group(world.group).coordinator.id)
    world.feed_some(events, 2_000)
    worker = drained(world, worker)

    # A new process tries each broker of the list, the dead one too.
    worker.stop()
    worker = world.worker("w0", lanes=2)
    before, committed = producers_replaced(worker), worker.figures().sum("transactions_total", outcome="committed")
    for _ in range(BATCHES):
        world.feed_some(events, 500)
        world.await_drained()
    assert worker.figures().sum("transactions_total", outcome="committed") - committed >= BATCHES
    assert producers_replaced(worker) == before, worker.tail()
    worker.stop()
    world.findings().assert_exactly_once()
