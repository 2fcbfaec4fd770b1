"""kill -9 at random moments under load: nothing lost, doubled or reordered; without transactions, doubles."""

import time

from oracle.events import job_events
from world import LONG, QUICK_SESSION, RELEASE, TESTKIT, World, seeded

KILLS = 40 if LONG else 10
CONTROL_KILLS = 40 if LONG else 5
RATE = 8_000 if LONG else 4_000


def kill_workers_under_load(world: World, kills: int):
    rng = seeded()
    workers = {name: world.worker(name, lanes=2) for name in ("w0", "w1")}
    with world.load(job_events(rng), RATE):
        for _ in range(kills):
            time.sleep(rng.uniform(0.1, 1.5))  # the random moment
            name = rng.choice(list(workers))
            workers[name].kill()
            workers[name] = world.worker(name, lanes=2)
    world.await_drained()
    for worker in workers.values():
        worker.stop()


def test_ten_kills_under_load_lose_double_and_reorder_nothing(kafka, make_world):
    world = make_world(kafka, settings=QUICK_SESSION)
    kill_workers_under_load(world, KILLS)
    world.findings().assert_exactly_once()
    assert world.topics.read(world.quarantine) == []
    nonces = [record.value()[24:48] for record in world.topics.read(world.output, "read_uncommitted")]
    assert len(set(nonces)) == len(nonces), "a nonce was used twice, counting aborted attempts"


def test_without_transactions_such_kills_show_doubles(kafka, make_world):
    """The negative control: an oracle that cannot see doubles proves nothing."""
    world = make_world(kafka, binary=TESTKIT, settings=QUICK_SESSION)
    with world.without("transactions"):
        kill_workers_under_load(world, CONTROL_KILLS)
    assert world.findings().doubled > 0


def test_the_release_binary_has_no_testkit_in_it():
    assert b"HOURSEAL_TESTKIT" in TESTKIT.read_bytes()
    assert b"HOURSEAL_TESTKIT" not in RELEASE.read_bytes()
