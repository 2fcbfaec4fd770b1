"""SIGTERM while the broker is away: the worker ends within its limit, and the next one goes on where it was."""

import signal

import pytest
from children import wait_until
from kafka_faults import Fault, Gate, Kind
from kafka_wire import Api, Request
from plain import plain_events
from witness import Witness, assert_nothing_happened

SHUTDOWN_LIMIT = 25
SETTLED, UNSETTLED = 0, 69
AWAY = pytest.mark.parametrize("away", ["silence", "refuse"])


def ended(worker) -> int:
    worker.send(signal.SIGTERM)
    return worker.wait(SHUTDOWN_LIMIT)


def finish(world, proxy, witness, events):
    """The broker is back; a new worker takes over."""
    proxy.mend()
    worker = world.worker()
    world.feed_some(events, 500)
    world.await_drained()
    worker.stop()
    assert_nothing_happened(world, witness)


@AWAY
def test_an_idle_worker_ends_while_the_broker_is_away(make_proxied_world, proxy, away):
    world, events = make_proxied_world(partitions=1), plain_events()
    worker = world.worker()
    world.feed_some(events, 500)
    world.await_drained()
    with Witness(world) as witness:
        getattr(proxy, away)()
        assert ended(worker) == SETTLED, worker.tail()
        finish(world, proxy, witness, events)


@AWAY
def test_a_busy_worker_ends_while_the_broker_is_away(make_proxied_world, proxy, away):
    """In the midst of a transaction: what it has not settled is read again."""
    world, events = make_proxied_world(partitions=1), plain_events()
    worker = world.worker()
    with Witness(world) as witness:
        with world.load(events, 5_000):
            wait_until(lambda: any(world.topics.ends(world.output).values()), 20, "the worker is busy")
            getattr(proxy, away)()
        assert ended(worker) in (SETTLED, UNSETTLED), worker.tail()
        finish(world, proxy, witness, events)


def test_a_worker_that_can_make_no_producer_ends(make_proxied_world, proxy):
    world, events = make_proxied_world(partitions=1), plain_events()
    asked = Gate()

    async def no_producer(request: Request) -> Fault | None:
        if request.api != Api.InitProducerId:
            return None
        asked.open()
        return Fault(Kind.SWALLOW)

    proxy.play(no_producer, world.folder / "faults.jsonl")
    worker = world.worker(ready=False)
    asked.wait(20, "the worker asks for a producer")
    assert ended(worker) == SETTLED, worker.tail()
    proxy.rest()
    world.worker().stop()
    with Witness(world) as witness:
        finish(world, proxy, witness, events)
