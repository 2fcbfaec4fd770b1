"""One of three brokers is dead: its connections cannot be opened, which carries no request and costs no producer.

It is the one that coordinated the group: the lanes have to find its successor."""

from oracle.events import job_events
from world import QUICK_SESSION, seeded

BATCHES = 20


def producers_replaced(worker) -> float:
    figures = worker.figures()
    return sum(figures.sum("transactions_total", outcome=outcome) for outcome in ("unknown", "fenced"))


def test_a_dead_broker_of_three_costs_no_producer_per_batch(three_brokers, make_world):
    world = make_world(three_brokers, settings=QUICK_SESSION)
    events = job_events(seeded())
    worker = world.worker("w0", lanes=2)
    world.feed_some(events, 2_000)
    world.await_drained()
    three_brokers.kill(world.topics.group(world.group).coordinator.id)
    world.feed_some(events, 2_000)
    world.await_drained()
    assert worker.alive, worker.tail()

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
