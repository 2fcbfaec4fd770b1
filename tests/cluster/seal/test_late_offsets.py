"""Offsets lose their connection, their repetition is answered, and they arrive themselves within the next transaction.

In the protocol for transactions that the client speaks, they replace that one's offsets: older double, newer lose.
Without the guards the same stories do so: they are real."""

from contextlib import contextmanager

import pytest
from denial import reading_denied
from guest import Guest
from kafka_faults import Fault, Gate, Kind
from kafka_wire import Api
from parked import await_all_parked
from plain import plain_events
from script import Script, Step, arrives, gives
from story import GUARDS, begun, late_request
from witness import Witness, assert_nothing_happened, await_settled
from world import TESTKIT, World

# Batches close by count. After an abort a fetch gets one of the feeder's batches, and takes longer than one is open.
BATCH = 200
SLOW_FETCH = 1.3
COUNTED = {
    "lane": {"batch_events": BATCH, "batch_time": "1s"},
    # Offsets are on their way before records: then they are alone on the connection that closes.
    "kafka": {"consumer": {"max.partition.fetch.bytes": "1000"}, "producer": {"linger.ms": "200"}},
}


def play_late_older_offsets(world: World, proxy) -> Witness:
    """The offsets of a batch are late and arrive within the next transaction, after its own; then a worker starts."""
    late, script = late_request(), Script()

    async def late_one_arrives():
        await arrives(late)

    script.then(
        Step(Api.TxnOffsetCommit, gives(late)),
        Step(Api.EndTxn, commits=True),
        Step(Api.EndTxn, late_one_arrives, commits=True),
    )
    events = plain_events()
    with begun(world, events) as (worker, witness):
        worker = until_the_next_start(world, proxy, script, worker, lambda: world.feed_some(events, 2 * BATCH))
        await_settled(world)
        worker.stop()
    return witness


def play_late_newer_offsets(world: World, proxy, and_then) -> Witness:
    """The offsets of a batch are late, and refused when they are sent once more. The second attempt is a smaller batch;
    the offsets of the first arrive within its transaction, after its own."""
    late, lost, aborting = late_request(), Gate(), Gate()
    denied, allowed = Gate(), Gate()

    async def may_not_be_sent_again():
        lost.open()
        await denied.opened(2)
        return Fault(Kind.DELAY, seconds=1)  # until every broker has heard of the denial

    async def fetches_are_slow():
        aborting.open()
        await allowed.opened(3)
        script.slow_fetches = SLOW_FETCH

    async def late_one_arrives():
        script.slow_fetches = 0
        await arrives(late)

    script = Script(
        Step(Api.TxnOffsetCommit, gives(late)),
        Step(Api.TxnOffsetCommit, may_not_be_sent_again),
        Step(Api.EndTxn, fetches_are_slow, commits=False, or_init=True),
        Step(Api.EndTxn, late_one_arrives, commits=True),
    )

    def feed():
        worker.pause()
        for _ in range(2):
            world.feed_some(events, BATCH // 2)
        worker.resume()
        lost.wait(20, "the offsets are sent again")
        with reading_denied(world):
            denied.open()
            aborting.wait(20, "the transaction is given up")
        allowed.open()

    events = plain_events()
    with begun(world, events) as (worker, witness):
        worker = and_then(world, proxy, script, worker, feed)
        if not worker.alive:
            return witness
        await_settled(world)
        worker.stop()
    return witness


@contextmanager
def another_member_joins(world, proxy, script, feed):
    """In the next transaction, which ends with the group's generation: the lane asks where it stands."""
    wanted, guest = Gate(), Guest(world)

    async def joins():
        wanted.open()
        await guest.joined.opened(3)

    script.then(Step(Api.AddOffsetsToTxn, joins))
    proxy.play(script, world.folder / "faults.jsonl")
    feed()
    wanted.wait(20, script.what_is_left())
    with guest:
        script.await_over()
        yield


def until_another_member_joins(world, proxy, script, worker, feed):
    with another_member_joins(world, proxy, script, feed):
        await_settled(world)
    return worker


def until_the_next_start(world, proxy, script, worker, feed):
    """The worker dies within the next transaction; its successor asks where the partition stands."""
    begins, killed = Gate(), Gate()

    async def wait_for_the_kill():
        begins.open()
        await killed.opened()
        return Fault(Kind.DROP)

    script.then(Step(Api.AddOffsetsToTxn, wait_for_the_kill))
    proxy.play(script, world.folder / "faults.jsonl")
    feed()
    world.feed_some(plain_events(), 1)
    begins.wait(20, script.what_is_left())
    worker.kill()
    killed.open()
    return world.worker()


def until_the_partition_is_parked(world, proxy, script, worker, feed):
    with another_member_joins(world, proxy, script, feed):
        await_all_parked(worker, {0}, "offset-moved")
    worker.stop()
    return worker


SEQUELS = [until_another_member_joins, until_the_next_start]
SEQUEL = pytest.mark.parametrize("sequel", SEQUELS, ids=lambda sequel: sequel.__name__.replace("_", "-"))


@SEQUEL
def test_offsets_that_arrive_late_skip_nothing(make_proxied_world, proxy, sequel):
    world = make_proxied_world(COUNTED, partitions=1)
    assert_nothing_happened(world, play_late_newer_offsets(world, proxy, sequel))


def test_older_offsets_that_arrive_late_double_nothing(make_proxied_world, proxy):
    world = make_proxied_world(COUNTED, partitions=1)
    assert_nothing_happened(world, play_late_older_offsets(world, proxy))


def test_an_offset_that_the_lane_has_not_committed_parks_its_partition(make_proxied_world, proxy):
    """The second guard, where the first is off: rather than skip what lies before that offset, the lane stops reading."""
    world = make_proxied_world(COUNTED, partitions=1, binary=TESTKIT)
    with world.without("late-requests"):
        play_late_newer_offsets(world, proxy, until_the_partition_is_parked)


@SEQUEL
def test_without_the_guards_late_offsets_lose(make_proxied_world, proxy, sequel):
    world = make_proxied_world(COUNTED, partitions=1, binary=TESTKIT)
    with world.without(*GUARDS):
        play_late_newer_offsets(world, proxy, sequel)
    assert world.findings().lost > 0


def test_without_the_guards_late_older_offsets_double(make_proxied_world, proxy):
    world = make_proxied_world(COUNTED, partitions=1, binary=TESTKIT)
    with world.without(*GUARDS):
        play_late_older_offsets(world, proxy)
    assert world.findings().doubled > 0
