"""One CQL node: its disk is full, or its clock is apart. The worker waits, says why, and goes on when it is mended."""

from contextlib import suppress
from pathlib import Path

import pytest
from children import MountRefused, wait_until
from cql import TRANSIENT
from oracle.events import job_events
from servers import Cassandra
from slots import assert_one_dek_per_slot
from world import QUICK_SESSION, TESTKIT, World, seeded, write_clock

DISK_MB = 128
APART_SECONDS = 60


@pytest.fixture
def small_disk():
    try:
        server = Cassandra(disk_mb=DISK_MB)
    except MountRefused as why:
        pytest.skip(f"A FULL DISK WAS NOT TESTED: this host refuses to mount one ({why})")
    with server:
        yield server


def fill(disk: Path) -> Path:
    """A file that takes what is free."""
    file = disk / "filler"
    with suppress(OSError), open(file, "wb", buffering=0) as filler:
        while True:
            filler.write(bytes(1 << 16))
    return file


def test_a_full_disk_makes_the_worker_wait_and_loses_nothing(kafka, small_disk, make_world):
    world = make_world(kafka, store=small_disk, settings=QUICK_SESSION)
    rng = seeded()
    worker = world.worker(lanes=2)
    world.feed_some(job_events(rng, customers=50), 2_000)
    world.await_drained()
    with world.load(job_events(rng, customers=500, name="unknown"), 300):
        filler = fill(small_disk.disk(1))
        with suppress(AssertionError):  # the tool may not outlive the server's doors
            small_disk.tool("flush", world.store.name)
        wait_until(lambda: "No space left on device" in small_disk.log(1), 60, "the server has met its full disk")
        reason = wait_until(worker.why_not_ready, 90, "/readyz says why", alive=worker, every=0.5)
        assert "store" in reason, reason
        print(f"the worker waits: {reason:.400}")
        committed = world.topics.committed(world.group, world.input)
        filler.unlink()
        restarted = not takes_writes(world)
        if restarted:  # it has shut its doors, so its operator restarts it
            small_disk.kill(1)
            small_disk.up(1)
        worker.await_ready(90)
    print("the server", "was restarted" if restarted else "went on by itself")
    world.await_drained(120)
    assert sum(world.topics.committed(world.group, world.input).values()) > sum(committed.values())
    worker.stop()
    assert_one_dek_per_slot(world, world.findings())


def takes_writes(world: World) -> bool:
    with suppress(*TRANSIENT):
        world.store.cql()("INSERT INTO probe (id, part, value) VALUES ('disk', 0, 1) USING TTL 60")
        return True
    return False


def test_clocks_that_are_apart_make_the_worker_wait_and_nothing_is_minted(kafka, cassandra, make_world):
    """Either clock may be the one ahead."""
    world = make_world(kafka, store=cassandra, binary=TESTKIT)
    world.set_clock()
    store_clock = world.folder / "store-clock"
    world.env["HOURSEAL_TESTKIT_STORE_CLOCK"] = str(store_clock)
    write_clock(store_clock, 0)
    rng = seeded()
    worker = world.worker(lanes=2)
    world.feed_some(job_events(rng, customers=20), 1_000)
    world.await_drained()
    for nth, apart in enumerate((APART_SECONDS, -APART_SECONDS)):
        minted = world.keys().rows().keys()
        write_clock(store_clock, apart)
        reason = wait_until(worker.why_not_ready, 20, "/readyz says why", alive=worker)
        assert "clocks" in reason and str(APART_SECONDS)[:1] in reason, reason
        print(f"the store's clock is {apart} s apart: {reason:.300}")
        world.feed_some(job_events(rng, customers=20, name=f"unknown-{nth}"), 500)
        waits = lambda: worker.figures().by("waiting", "why").get("clocks")  # noqa: E731
        wait_until(waits, 20, "a lane waits for the clocks", alive=worker)
        assert world.keys().rows().keys() == minted, "a key was minted meanwhile"
        assert not worker.is_ready()
        write_clock(store_clock, 0)
        worker.await_ready(40)
        world.await_drained()
        assert world.keys().rows().keys() > minted
    worker.stop()
    assert_one_dek_per_slot(world, world.findings())


def test_clocks_that_are_a_little_apart_stop_nothing(kafka, cassandra, make_world):
    """The control: it is the distance that made it wait."""
    world = make_world(kafka, store=cassandra, binary=TESTKIT)
    world.set_clock()
    store_clock = world.folder / "store-clock"
    world.env["HOURSEAL_TESTKIT_STORE_CLOCK"] = str(store_clock)
    write_clock(store_clock, 20)
    worker = world.worker(lanes=2)
    world.feed_some(job_events(seeded(), customers=20), 1_000)
    world.await_drained()
    worker.stop()
    assert_one_dek_per_slot(world, world.findings())
