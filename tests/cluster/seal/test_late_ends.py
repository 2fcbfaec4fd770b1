"""An EndTxn loses its connection, its repetition succeeds, and it arrives itself within the next transaction.

In the protocol for transactions that the client speaks, it ends that one as well (KAFKA-17754). Nothing may be lost or
doubled. Without the guards the same stories lose and double: they are real."""

from guest import Guest
from kafka_faults import Fault, Gate, Kind
from kafka_wire import Api
from plain import plain_events
from script import Script, Step, arrives, gives
from story import GUARDS, begun, late_request
from witness import Witness, assert_nothing_happened, await_settled
from world import TESTKIT, World

RATE = 5_000


def play_late_abort(world: World, proxy) -> Witness:
    """A member that joins within a transaction makes the lane abort it; the EndTxn that aborts it is late."""
    late, wanted, guest = late_request(), Gate(), Guest(world)
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
    late, arrived, killed = late_request(), Gate(), Gate()
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


def test_an_abort_that_arrives_late_loses_nothing(make_proxied_world, proxy):
    world = make_proxied_world(partitions=1)
    assert_nothing_happened(world, play_late_abort(world, proxy))


def test_a_commit_that_arrives_late_and_a_kill_double_nothing(make_proxied_world, proxy):
    world = make_proxied_world(partitions=1)
    assert_nothing_happened(world, play_late_commit(world, proxy))


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
