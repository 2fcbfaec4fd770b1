"""A request loses its connection, its repetition succeeds, and it arrives itself within the next transaction.

Kafka's protocol for transactions that the client speaks takes it for a part of that transaction (KAFKA-17754). Nothing may be
lost or doubled. Without the guards the same stories lose and double: then they are real."""

from contextlib import contextmanager

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)
from guest import Guest
from kafka_faults import Fault, Gate, Kind
from kafka_wire import Api
from plain import plain_events
from script import Script, Step, arrives, gives
from witness import Witness, assert_nothing_happened, await_settled
from world import TESTKIT, World

GUARDS = ("late-requests", "offset-check")
RATE = 5_000
# Batches close by count. After an abort each fetch gets one of the feeder's batches, and takes longer than a batch stays open.
BATCH = 200
SLOW_FETCH = 1.3
COUNTED = {
    "lane": {"batch_events": BATCH, "batch_time": "1s"},
    # Offsets are on their way before records: then they are alone on the connection that closes.
    "kafka": {"consumer": {"max.partition.fetch.bytes": "1000"}, "producer": {"linger.ms": "200"}},
}


@contextmanager
def begun(world: World, events):
    """A worker that has committed a first batch, and a witness."""
    worker = world.worker()
    world.feed_some(events, 10)
    world.await_drained()
    with Witness(world) as witness:
        yield worker, witness


def play_late_abort(world: World, proxy) -> Witness:
    """A member that joins within a transaction makes the lane abort it; the EndTxn that aborts it is late."""
    late, wanted, guest = Fault(Kind.LATE, until=Gate()), Gate(), Guest(world)
    script = Script()

    async def another_member_joins():
        wanted.open()
        await guest.joined.opened(3)

    async def late_one_arrives():
        await script.all_is_sent()
        await arrives(late)

    script.then(
        Step(Api.AddOffsetsToTxn, another_member_joins),
        Step(Api.EndTxn, gives(late), commits=False),
        Step(Api.AddOffsetsToTxn, late_one_arrives, filled=True),
    )
    events = plain_events()
    with begun(world, events) as (worker, witness):
        proxy.play(script, world.folder / "faults.jsonl")
        with world.load(events, RATE):
            wanted.wait(20, "the transaction has begun")
            with guest:
                script.await_over()
        await_settled(world)
        worker.stop()
    return witness


def play_late_commit(world: World, proxy) -> Witness:
    """The EndTxn that commits is late; the worker dies within the next transaction."""
    late, arrived, killed = Fault(Kind.LATE, until=Gate()), Gate(), Gate()
    script = Script()

    async def late_one_arrives_and_the_worker_dies():
        await script.all_is_sent()
        await arrives(late)
        arrived.open()
        await killed.opened()
        return Fault(Kind.DROP)

    script.then(
        Step(Api.EndTxn, gives(late), commits=True),
        Step(Api.AddOffsetsToTxn, late_one_arrives_and_the_worker_dies, filled=True),
    )
    events = plain_events()
    with begun(world, events) as (worker, witness):
        proxy.play(script, world.folder / "faults.jsonl")
        with world.load(events, RATE):
            arrived.wait(30, script.what_is_left())
            worker.kill()
            killed.open()
        worker = world.worker()
        await_settled(world)
        worker.stop()
    return witness


def play_late_older_offsets(world: World, proxy) -> Witness:
    """The offsets of a batch are late and arrive within the next transaction, after its own; then the worker starts again."""
    late, script = Fault(Kind.LATE, until=Gate()), Script()

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
    """The offsets of a batch are late, and refused when they are sent once more. The second attempt is a smaller batch; the
    offsets of the first arrive within its transaction, after its own."""
    late, lost, aborting = Fault(Kind.LATE, until=Gate()), Gate(), Gate()
    denied, allowed = Gate(), Gate()

    async def may_not_be_sent_again():
        lost.open()
        await denied.opened(3)

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
def reading_denied(world: World):
    """Nobody may read the input, nor commit its offsets."""

    def rule(operation, permission) -> AclBinding:
        return AclBinding(
            ResourceType.TOPIC, world.input, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", operation, permission
        )

    done(world.topics.admin.create_acls([rule(AclOperation.ALL, AclPermissionType.ALLOW)]))
    done(world.topics.admin.create_acls([rule(AclOperation.READ, AclPermissionType.DENY)]))
    yield
    place = (ResourceType.TOPIC, world.input, ResourcePatternType.LITERAL, None, None)
    done(world.topics.admin.delete_acls([AclBindingFilter(*place, AclOperation.READ, AclPermissionType.DENY)]))


def done(futures: dict):
    for future in futures.values():
        future.result(10)


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


def until_the_lane_halts(world, proxy, script, worker, feed):
    with another_member_joins(world, proxy, script, feed):
        assert worker.wait(30) == 69
    return worker


SEQUELS = [until_another_member_joins, until_the_next_start]
SEQUEL = pytest.mark.parametrize("sequel", SEQUELS, ids=lambda sequel: sequel.__name__.replace("_", "-"))


def test_an_abort_that_arrives_late_loses_nothing(make_proxied_world, proxy):
    world = make_proxied_world(partitions=1)
    assert_nothing_happened(world, play_late_abort(world, proxy))


def test_a_commit_that_arrives_late_and_a_kill_double_nothing(make_proxied_world, proxy):
    world = make_proxied_world(partitions=1)
    assert_nothing_happened(world, play_late_commit(world, proxy))


@SEQUEL
def test_offsets_that_arrive_late_skip_nothing(make_proxied_world, proxy, sequel):
    world = make_proxied_world(COUNTED, partitions=1)
    assert_nothing_happened(world, play_late_newer_offsets(world, proxy, sequel))


def test_older_offsets_that_arrive_late_double_nothing(make_proxied_world, proxy):
    world = make_proxied_world(COUNTED, partitions=1)
    assert_nothing_happened(world, play_late_older_offsets(world, proxy))


def test_without_the_guards_a_late_abort_loses(make_proxied_world, proxy):
    world = make_proxied_world(partitions=1, binary=TESTKIT)
    with world.without(*GUARDS):
        play_late_abort(world, proxy)
    assert world.findings().lost > 0


def test_without_the_guards_a_late_commit_doubles(make_proxied_world, proxy):
    world = make_proxied_world(partitions=1, binary=TESTKIT)
    with world.without(*GUARDS):
        play_late_commit(world, proxy)
    assert world.findings().doubled > 0


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


def test_an_offset_that_the_lane_has_not_committed_halts_it(make_proxied_world, proxy):
    """The second guard, where the first is off: rather than skip what lies before that offset, the lane gives up."""
    world = make_proxied_world(COUNTED, partitions=1, binary=TESTKIT)
    with world.without("late-requests"):
        play_late_newer_offsets(world, proxy, until_the_lane_halts)
    assert "offset-moved" in (world.folder / "w0.log").read_text()
