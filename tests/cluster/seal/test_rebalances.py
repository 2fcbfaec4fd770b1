"""Workers come and go, and one freezes and wakes up as a zombie: nothing lost, doubled or reordered."""

import time

from children import wait_until
from groups import instances
from oracle.events import job_events
from world import BRISK, LONG, seeded

STORM_SECONDS = 120 if LONG else 18
EVERY = 3 if LONG else 1.5


def test_workers_that_join_and_leave_lose_double_and_reorder_nothing(kafka, make_world):
    """Each joiner has a new name, so that each join and each leave moves partitions."""
    world = make_world(kafka, settings=BRISK)
    staying = world.worker("stays", lanes=2)
    guests = []
    end = time.monotonic() + STORM_SECONDS
    with world.load(job_events(seeded()), 3_000):
        while time.monotonic() < end:
            guests.append(world.worker(f"guest-{len(guests)}", ready=False))
            time.sleep(EVERY)  # the rhythm of the storm
            if len(guests) > 2:
                guests[-3].stop()
    world.await_drained()
    for worker in [staying, *guests[-2:]]:
        worker.stop()
    assert len(guests) > STORM_SECONDS / EVERY / 2
    world.findings().assert_exactly_once()


def test_a_worker_frozen_beyond_its_session_commits_nothing_when_it_wakes(kafka, make_world):
    world = make_world(kafka, settings=BRISK)
    heir, zombie = world.worker("heir", lanes=2), world.worker("zombie", lanes=2)
    events = job_events(seeded())
    with world.load(events, 5_000):
        time.sleep(2)  # the load has reached both
        freeze(world, zombie)
        wait_until(lambda: instances(world) == {"heir.0", "heir.1"}, 30, "the zombie's session has ended")
    world.await_drained()
    wait_until(lambda: world.topics.is_stable(world.output), 30, "the zombie's transaction is aborted")
    before = world.sealed_count(), world.topics.committed(world.group, world.input)

    zombie.resume()
    wait_until(lambda: zombie.is_ready() or not zombie.alive, 60, "the zombie is back, or gone")
    assert (world.sealed_count(), world.topics.committed(world.group, world.input)) == before

    if zombie.alive:
        wait_until(lambda: len(instances(world)) == 4, 30, "the zombie has joined again")
    else:
        assert zombie.exit_code == 69, zombie.tail()
    world.feed_some(events, 10_000)
    world.await_drained()
    for worker in (heir, zombie):
        if worker.alive:
            worker.stop()
    world.findings().assert_exactly_once()


def freeze(world, worker):
    """Where it holds no lock of the store: a process frozen in a write transaction keeps SQLite's lock, and everybody waits."""
    for _ in range(100):
        worker.pause()
        if world.store.is_writable():
            return
        worker.resume()
        time.sleep(0.01)
    raise AssertionError("it is always writing")
