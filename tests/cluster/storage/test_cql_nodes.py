"""A fleet on three CQL nodes: workers and nodes are killed, frozen, restarted; nothing lost, doubled or reordered."""

import signal
import time
from contextlib import contextmanager
from itertools import islice

import pytest
from children import wait_until
from cql import await_whole
from fleet import Fleet, tell, watched
from groups import assignment, settled
from oracle.events import job_events
from servers import ERROR
from slots import assert_one_dek_per_slot
from world import BRISK_POLLS, LONG, QUICK_SESSION, seeded

EVENTS = 200_000 if LONG else 20_000
RATE = 3_000 if LONG else 400
STEADY = 500 if LONG else 150  # what most tests feed each second; the time goes into minting
NODE_AWAY = 60 if LONG else 8
STORE_AWAY = 300 if LONG else 15  # longer than any time-out of the group


def test_kills_of_workers_and_nodes_lose_double_and_reorder_nothing(kafka, cassandra3, make_world):
    """In a random order, while a backlog of past hours is sealed."""
    world = make_world(kafka, store=cassandra3, settings=QUICK_SESSION)
    rng = seeded()
    events = islice(job_events(rng), EVENTS)
    world.feed(islice(events, EVENTS // 3))
    fleet = Fleet(world, ["w0", "w1", "w2"])
    victims = ["worker"] * 5 + ["node"] * (3 if LONG else 2)
    rng.shuffle(victims)
    with world.load(events, RATE):
        for victim in victims:
            time.sleep(rng.uniform(0.2, 2))  # the random moment
            if victim == "worker":
                fleet.kill(rng.choice(list(fleet.workers)))
                continue
            node = rng.choice(list(cassandra3.nodes))
            cassandra3.kill(node)
            time.sleep(rng.uniform(0.2, 2))  # and how long it is away
            cassandra3.up(node)
            await_whole(cassandra3)
    world.feed(events)
    fleet.await_ready()
    world.await_drained(300)
    tell(fleet.counted())
    fleet.stop()

    findings = world.findings()
    assert_one_dek_per_slot(world, findings)
    assert findings.records == EVENTS
    assert max(findings.generations) > 0, "no event of a past hour"


# In the short tier the oracle run kills nodes enough.
@pytest.mark.parametrize("sig", [signal.SIGSTOP, signal.SIGKILL] if LONG else [signal.SIGSTOP])
def test_one_node_of_three_that_is_away_stops_nothing(kafka, cassandra3, make_world, sig):
    """New slots are minted and events committed while it is away; no worker halts."""
    world = make_world(kafka, store=cassandra3)
    fleet = Fleet(world, ["w0", "w1"])
    minted = lambda: fleet.counted().sum("key_operations_total", op="mint")  # noqa: E731
    sealed = lambda: fleet.counted().sum("events_total", outcome="sealed")  # noqa: E731
    with world.load(job_events(seeded()), STEADY):
        wait_until(lambda: minted() > 50, 60, "the load has reached it")
        cassandra3.kill(2, sig)
        away_since, before = time.monotonic(), minted()
        with watched(fleet.workers.values()) as look:
            while time.monotonic() < away_since + NODE_AWAY:
                look()
                time.sleep(0.2)  # between two looks
        # The node is away still.
        fed = len(world.ledger)
        wait_until(lambda: sealed() >= fed, 60, "what was fed is sealed")
        later = time.monotonic() - away_since - NODE_AWAY
        print(f"sealed {later:.1f} s later; {minted() - before:.0f} keys minted meanwhile")
        assert minted() > before
        fleet.await_ready(30)
        if sig == signal.SIGSTOP:
            cassandra3.kill(2, signal.SIGCONT)
        else:
            cassandra3.up(2)
    await_whole(cassandra3)
    world.await_drained()
    tell(fleet.counted())
    fleet.stop()
    assert_one_dek_per_slot(world, world.findings())


def test_two_nodes_away_change_no_assignment_and_lose_nothing(kafka, cassandra3, make_world):
    """The workers wait, say why, keep their places, and go on when the nodes are back."""
    world = make_world(kafka, store=cassandra3, settings={} if LONG else BRISK_POLLS)
    rng = seeded()
    fleet = Fleet(world, ["w0", "w1"], lanes=2)
    world.feed_some(job_events(rng, customers=50), 1_000)
    world.await_drained()
    wait_until(lambda: settled(world), 30, "the group is stable")
    before = assignment(world)

    cassandra3.kill(2)
    cassandra3.kill(3)
    away_since = time.monotonic()
    with world.load(job_events(rng, customers=50, name="unknown"), STEADY):
        for worker in fleet.workers.values():
            reason = wait_until(worker.why_not_ready, 40, "/readyz says why", alive=worker)
            assert "store" in reason, reason
            print(f"{worker.instance} waits after {time.monotonic() - away_since:.1f} s: {reason:.400}")
        while time.monotonic() < away_since + STORE_AWAY:
            assert assignment(world) == before
            time.sleep(1)  # a look each second
    cassandra3.up(2, 3)
    back_since = time.monotonic()
    fleet.await_ready(90)
    print(f"ready {time.monotonic() - back_since:.1f} s after the nodes were")
    world.await_drained(180)
    assert assignment(world) == before
    tell(fleet.counted())
    fleet.stop()
    assert_one_dek_per_slot(world, world.findings())


@contextmanager
def deaf(cassandra, node):
    """A node that hears nothing of the others while the body runs, and speaks to clients once the body says so."""
    for what in ("disablebinary", "disablegossip"):
        cassandra.tool(what, node=node)
    try:
        # Till then they send it each change of the schema.
        for other in set(cassandra.nodes) - {node}:
            wait_until(lambda other=other: cassandra.holds_dead(other, node), 30, f"node {other} misses node {node}")
        yield lambda: cassandra.tool("enablebinary", node=node)
    finally:
        for what in ("enablebinary", "enablegossip"):
            cassandra.tool(what, node=node)


def test_a_node_that_has_not_heard_of_the_keyspace_is_waited_for(kafka, cassandra3, make_world):
    """`store init` meets two nodes; to the third, which a worker meets too, the keyspace comes later."""
    with deaf(cassandra3, 3) as speak:
        world = make_world(kafka, store=cassandra3)
        speak()
        assert b"does not exist" in cassandra3.query(f"USE {world.store.name}", node=3, answer=ERROR)
        world.feed_some(job_events(seeded()), 100)
        worker = world.worker(ready=False)
        told = world.cli("store", "check", code=78)  # takes five seconds
        assert worker.alive, worker.tail()
        assert "the nodes do not agree" in told
    worker.await_ready(60)
    world.await_drained()
    worker.stop()
    assert_one_dek_per_slot(world, world.findings())


def test_a_node_that_has_not_heard_of_the_tables_halts_no_worker(kafka, cassandra3, make_world):
    """It is away when they are created and when a worker starts, and speaks to clients before it has heard of them."""
    world = make_world(kafka, store=cassandra3, init=False)
    replicas = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 3}"
    cassandra3.query(f"CREATE KEYSPACE {world.store.name} WITH replication = {replicas}")
    keyspaces = "SELECT keyspace_name FROM system_schema.keyspaces"
    wait_until(lambda: world.store.name.encode() in cassandra3.query(keyspaces, node=3), 30, "node 3 has heard of it")
    with deaf(cassandra3, 3) as speak:
        world.cli("store", "init")
        worker = world.worker()
        with world.load(job_events(seeded()), STEADY):
            speak()
            keys = f"SELECT * FROM {world.store.name}.key"
            assert b"does not exist" in cassandra3.query(keys, node=3, answer=ERROR)
            told = lambda: "does not exist" in (worker.why_not_ready() or "")  # noqa: E731
            wait_until(told, 30, "the worker waits", alive=worker)
    worker.await_ready(60)
    world.await_drained()
    worker.stop()
    assert_one_dek_per_slot(world, world.findings())


@pytest.mark.skipif(not LONG, reason="the restart of all nodes is of the long tier")
def test_a_restart_of_all_nodes_loses_nothing(kafka, cassandra3, make_world):
    """Whatever was acknowledged is there again: also what was minted a moment before the kill."""
    world = make_world(kafka, store=cassandra3, settings=QUICK_SESSION)
    rng = seeded()
    fleet = Fleet(world, ["w0", "w1"])
    with world.load(job_events(rng, customers=50), STEADY):
        wait_until(lambda: fleet.counted().sum("key_operations_total", op="mint") > 50, 60, "the load has reached it")
        for node in cassandra3.nodes:
            cassandra3.kill(node)
        for worker in fleet.workers.values():
            assert "store" in wait_until(worker.why_not_ready, 40, "/readyz says why", alive=worker)
        cassandra3.up(*cassandra3.nodes)
        fleet.await_ready(90)
    world.await_drained(180)
    fleet.stop()
    assert_one_dek_per_slot(world, world.findings())


def test_two_keys_for_one_slot_would_be_noticed(kafka, cassandra3, make_world):
    """The negative control: another key in a slot's row, as a lost race would leave it."""
    world = make_world(kafka, store=cassandra3)
    worker = world.worker()
    world.feed_some(job_events(seeded(), customers=2, late_share=0), 100)
    world.await_drained()
    worker.stop()
    assert_one_dek_per_slot(world, world.findings())
    cql = world.store.cql()
    cells = "key_id, commitment, wrapped, kek"
    place = '"token", day, hour, generation'
    first, second = cql(f"SELECT {place}, {cells} FROM key WHERE generation = 0 ALLOW FILTERING")[:2]
    cql(
        "UPDATE key SET key_id = %s, commitment = %s, wrapped = %s, kek = %s"
        ' WHERE "token" = %s AND day = %s AND hour = %s AND generation = %s IF key_id != null',
        (*second[4:], *first[:4]),
    )
    assert world.findings().unopened
