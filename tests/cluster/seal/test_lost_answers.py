"""The broker has done what it was asked, and the worker has not heard so, or asks twice: no duel, nothing lost."""

from children import wait_until
from kafka_faults import Direction, Fault, Gate, Kind
from kafka_wire import Api
from plain import plain_events
from script import Script, Step, arrives, gives
from topics import UNCOMMITTED
from witness import Witness, assert_nothing_happened

BATCH = 500
# What the broker says to a producer that has a successor.
FENCED = (47, 90)


def offsets_end(world) -> int:
    return sum(world.topics.ends("__consumer_offsets", UNCOMMITTED).values())


def finish(world, worker, events):
    """The worker has never ended: it goes on sealing, and what it has sealed is right."""
    with Witness(world) as witness:
        world.feed_some(events, BATCH)
        wait_until(lambda: world.lag() == 0, 30, "all of the input is committed", alive=worker)
        worker.stop()
        assert_nothing_happened(world, witness)


def test_a_transaction_that_nobody_knows_of_ends_no_worker(make_proxied_world, proxy):
    """A late AddOffsetsToTxn opens it, between two of the lane's; its time-out fences the producer, which is idle."""
    world, events = make_proxied_world(partitions=1), plain_events()
    late = Fault(Kind.LATE, until=Gate())
    script = Script(Step(Api.AddOffsetsToTxn, gives(late)), Step(Api.EndTxn, commits=True))
    worker = world.worker()
    proxy.play(script, world.folder / "faults.jsonl")
    world.feed_some(events, BATCH)
    script.await_over()
    world.await_drained()
    for topic in (world.output, "__consumer_offsets"):
        wait_until(lambda topic=topic: world.topics.is_stable(topic), 10, "the lane's own transaction is over")
    before = offsets_end(world)
    late.until.open()
    late.answered.wait(10, "the late request is answered")
    assert late.error in (0, *FENCED), f"error {late.error}: it came too early"
    if late.error == 0:
        wait_until(lambda: offsets_end(world) > before, 20, "the broker has ended what it opened")
    finish(world, worker, events)


def test_a_lost_answer_to_the_first_request_of_a_producer_is_no_duel(make_proxied_world, proxy):
    world, events = make_proxied_world(partitions=1), plain_events()
    lost = Fault(Kind.DROP, Direction.ANSWER)
    proxy.play(Script(Step(Api.InitProducerId, gives(lost))), world.folder / "faults.jsonl")
    worker = world.worker()
    assert lost.answered.is_open
    finish(world, worker, events)


def test_a_late_first_request_of_a_producer_is_no_duel(make_proxied_world, proxy):
    """It fences the producer that was made meanwhile, in the midst of a transaction."""
    world, events = make_proxied_world(partitions=1), plain_events()
    late = Fault(Kind.LATE, until=Gate())

    async def late_one_arrives():
        await arrives(late)

    script = Script(
        Step(Api.InitProducerId, gives(late)), Step(Api.AddPartitionsToTxn), Step(Api.EndTxn, late_one_arrives)
    )
    proxy.play(script, world.folder / "faults.jsonl")
    worker = world.worker()
    world.feed_some(events, BATCH)
    script.await_over()
    finish(world, worker, events)
