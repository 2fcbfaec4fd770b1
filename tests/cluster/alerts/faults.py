"""Faults of real workers, each with the alerts that it must set off.

A fault is a generator with three parts: it starts workers, does the damage, and repairs it. Between the parts the test
looks at Prometheus."""

import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from typing import NamedTuple

from children import mount_disk, unmount, wait_until
from confluent_kafka import Consumer, TopicPartition
from envelopes import command, enveloped
from erasures import await_receipt, erase, events
from memory import locking_at_most
from office import SETTLED, Office, ask
from oracle.events import HOUR_MS, Event, now_ms, rfc3339
from parked import accepting, await_parked
from prometheus import FACTOR
from signing_key import write_signing_key
from world import BRISK, Worker, World

HOUR = now_ms() // HOUR_MS
MINUTE_MS = 60_000
WEEK = 7 * 24
BOTH = ("dpo", "legal")
CANARY = "hourseal-canary-1"
CANARY_SETTINGS = {"retention": {"default": "72h", "sweep": "1s"}, "canary": {"customer": CANARY}}


class Fault(NamedTuple):
    drive: Callable[[World], Iterator[None]]
    fires: set[str]
    may_fire: set[str]
    """Consequences that may set off their own alert while the test is busy with other faults."""
    settings: dict
    testkit: bool
    on_cassandra: bool
    instances: tuple[str, ...]
    """The processes that Prometheus scrapes."""
    stands: bool
    """Nothing repairs it but an investigation."""
    long: bool
    factor: int
    """By which Prometheus divides every duration."""


FAULTS: list[Fault] = []


def fault(
    *fires: str,
    may: tuple[str, ...] = (),
    settings: dict | None = None,
    testkit: bool = False,
    on_cassandra: bool = False,
    instances: tuple[str, ...] = ("w0",),
    stands: bool = False,
    long: bool = False,
    factor: int = FACTOR,
):
    def register(drive):
        FAULTS.append(Fault(drive, set(fires), set(may), settings or {}, testkit, on_cassandra, instances, stands, long, factor))
        return drive

    return register


def aged(age_ms: int, customer: bytes = b"acme") -> Iterator[Event]:
    """Endless: events that are so old when they are made."""
    for serial in count():
        at = now_ms() - age_ms
        yield Event(customer, at, None, (), b'{"customer_id":"%s","occurred_at":"%s","n":%d}' % (customer, rfc3339(at).encode(), serial))


def sealing(world: World, **how) -> Worker:
    """A worker that has sealed something."""
    worker = world.worker(**how)
    world.feed_some(aged(0), 50)
    world.await_drained()
    return worker


def staffed(world: World) -> Office:
    world.env |= SETTLED
    world.office = Office(world.folder / "office", world.binary)
    return world.office


def signed(office: Office) -> list[str]:
    return [word for name in BOTH for word in ("--sign-with", office.key(name))]


def canary(world: World, hour: float) -> Worker:
    """A worker and a canary in this hour; its event was opened."""
    office = staffed(world)
    world.set_hour(hour)
    world.worker(settings=office.settings)
    ask(world, "retention", "set", "--customer", CANARY, "--keep", "1h", *signed(office))
    return world.canary(office.settings).await_ready(60)


# --- the process


@fault("HoursealWorkerDown")
def a_worker_that_was_killed(world: World):
    worker = sealing(world)
    yield
    worker.kill()
    yield
    world.worker()
    yield


@fault("HoursealWorkerRestarts", may=("HoursealWorkerDown",))
def a_crash_loop(world: World):
    worker = sealing(world)
    yield
    for _ in range(4):
        worker.kill()
        worker = world.worker()
    yield
    yield


@fault("HoursealKeysNotLocked", may=("HoursealWorkerDown",), long=True)
def a_worker_without_the_right_to_lock_memory(world: World):
    worker = sealing(world)
    yield
    worker.stop()
    worker = world.worker(before=locking_at_most(0))
    world.feed_some(aged(0, b"bravo"), 50)
    yield
    worker.stop()
    world.worker()
    yield


@fault("HoursealDiskFull", may=("HoursealNotReady", "HoursealLaneWaits"))
def a_disk_that_is_full(world: World):
    world.vault.mkdir()
    mount_disk(world.vault, 16)
    world.vault.chmod(0o700)
    worker = sealing(world)
    yield
    ballast = world.vault / ".ballast"
    ballast.write_bytes(bytes(16_300_000))
    yield
    ballast.unlink()
    yield
    worker.stop()
    unmount(world.vault)


# --- lanes


@fault("HoursealStalled", "HoursealLaneWaits", "HoursealNotReady")
def a_key_store_that_is_locked(world: World):
    sealing(world)
    yield
    with closing(sqlite3.connect(world.store.path, isolation_level=None, timeout=30)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        world.feed_some(aged(0, b"unknown"), 100)
        yield
    world.await_drained()
    yield


@fault("HoursealBehind", may=("HoursealWorkerDown",), settings={"lane": {"batch_events": 5}}, long=True)
def a_backlog(world: World):
    """More than the small batches of this lane work off in half a minute."""
    worker = sealing(world)
    yield
    worker.stop()
    world.feed_some(aged(11 * MINUTE_MS), 20_000)
    worker = world.worker()
    yield
    worker.stop()
    world.worker(settings={"lane": {"batch_events": 50_000}})
    world.await_drained()
    yield


@fault("HoursealPartitionParked", may=("HoursealWorkerDown", "HoursealStalled"))
def a_gap_in_the_input(world: World):
    worker = sealing(world)
    yield
    worker.stop()
    world.feed_some(aged(0), 80)
    ends = world.topics.ends(world.input)
    (cut,) = world.topics.admin.delete_records([TopicPartition(world.input, 0, ends[0])]).values()
    cut.result(20)
    worker = world.worker(ready=False)
    await_parked([worker], 0, "input-gap")
    yield
    worker.stop()
    committed = world.topics.committed(world.group, world.input)[0]
    world.worker(arguments=accepting(world.input, 0, committed))
    world.await_drained()
    yield


@fault("HoursealForeignMember", may=("HoursealNotReady",))
def a_consumer_that_is_not_ours_in_the_group(world: World):
    sealing(world)
    yield
    stranger = Consumer({
        "bootstrap.servers": world.kafka.bootstrap,
        "group.id": f"{world.group}.control",
        "client.id": "looker",
        "partition.assignment.strategy": "cooperative-sticky",
        "enable.auto.commit": False,
        "log_level": 0,
    })
    stranger.subscribe([world.control])
    stranger.poll(5)
    yield
    stranger.close()
    yield


@fault("HoursealSlotFlood", settings={"lane": {"new_slots_per_minute": 20, "runaway_minutes": 0}}, testkit=True, long=True)
def a_producer_that_makes_up_customers(world: World):
    world.env["HOURSEAL_TESTKIT_SLOT_MINUTE_MS"] = "700"
    sealing(world)
    yield
    world.feed((next(aged(0, b"made-up-%d" % number)) for number in range(300)), partitions=[0])
    yield
    world.await_drained()
    yield


@fault("HoursealTransactionsFail", "HoursealQuarantineGrows")
def a_broker_that_refuses_records(world: World):
    """They are closer to the limit than the worker trusts its clock: only the broker decides."""
    sealing(world)
    world.topics.alter(world.output, message_timestamp_before_max_ms="1000")
    yield
    with world.load(aged(20_000), 5):
        yield
    world.await_drained()
    yield


# --- forgetting


@fault("HoursealSweepLags", "HoursealNotReady", settings={"retention": {"default": "2h", "sweep": "1s"}}, testkit=True)
def a_trust_store_that_cannot_be_read(world: World):
    """A command waits for it, and so does the sweep of its customer's hours."""
    office = staffed(world)
    world.set_hour(HOUR + 0.5)
    world.worker(settings=office.settings)
    world.feed_some(events(b"acme", HOUR), 20)
    world.await_drained()
    trusted = office.trust.read_text()
    yield
    office.trust.write_text("{")
    keys = [office.seed(name) for name in BOTH]
    world.command_bytes(enveloped(command(world, "c-1", from_hour=HOUR, to_hour=HOUR), *keys))
    world.set_hour(HOUR + 5)
    yield
    office.trust.write_text(trusted)
    yield


@fault("HoursealErasureIncomplete", may=("HoursealNotReady",), settings={"retention": {"default": "2h"}}, testkit=True)
def a_row_that_is_not_usable(world: World):
    world.set_hour(HOUR + 0.5)
    world.worker()
    world.feed_some(events(b"acme", HOUR), 20)
    world.await_drained()
    yield
    with closing(sqlite3.connect(world.store.path, isolation_level=None, timeout=30)) as raw:
        raw.execute("UPDATE key SET state = 9")
    world.set_hour(HOUR + 3.5)
    erase(world, "c-1", HOUR, HOUR)
    assert await_receipt(world, "c-1")["outcome"] == "incomplete"
    yield
    yield


@fault(
    "HoursealKeysOverdue",
    may=("HoursealWorkerDown",),
    settings={"kafka": BRISK["kafka"], "retention": {"default": "2h"}},
    testkit=True,
    instances=("w1",),
)
def an_hour_that_nobody_has_forgotten_for_a_week(world: World):
    """A new process overwrites its keys at once: Prometheus has never seen its counter at 0."""
    world.set_hour(HOUR + 0.5)
    worker = world.worker("w0")
    world.feed_some(events(b"acme", HOUR), 20)
    world.await_drained()
    worker.stop()
    other = world.worker("w1")
    yield
    other.stop()
    world.set_hour(HOUR + 5 + WEEK)
    world.worker("w1")
    yield
    yield


@fault(
    "HoursealStoreRestored",
    may=("HoursealWorkerDown",),
    settings={"retention": {"default": "2h"}},
    testkit=True,
)
def a_key_store_from_a_backup(world: World):
    world.set_hour(HOUR + 0.5)
    worker = world.worker()
    world.feed_some(events(b"acme", HOUR), 20)
    world.await_drained()
    worker.stop()
    data, backup = world.store.path.parent, world.folder / "backup"
    shutil.copytree(data, backup)
    world.set_hour(HOUR + 3.5)
    worker = world.worker()
    erase(world, "c-1", HOUR, HOUR)
    await_receipt(world, "c-1")
    yield
    worker.stop()
    shutil.rmtree(data)
    shutil.copytree(backup, data)
    worker = world.worker()
    yield
    worker.stop()
    world.worker()
    yield


@fault("HoursealCheckpointStale", may=("HoursealNotReady",), stands=True)
def a_receipts_topic_that_was_cut(world: World):
    world.worker(settings={"receipts": {"signing_key_file": str(write_signing_key(world.folder))}})
    long_ago = HOUR - 90 * 24
    erase(world, "c-1", long_ago, long_ago)
    await_receipt(world, "c-1")
    yield
    erase(world, "c-2", long_ago + 1, long_ago + 1)
    await_receipt(world, "c-2")
    (cut,) = world.topics.admin.delete_records([TopicPartition(world.receipts, 0, 1)]).values()
    cut.result(20)
    yield
    yield


@fault("HoursealCanaryOpens", may=("HoursealSweepLags",), settings=CANARY_SETTINGS, testkit=True, instances=("canary",))
def a_hold_on_the_canary(world: World):
    prober = canary(world, HOUR + 0.5)
    (event,) = world.opened()
    about = ("--customer", CANARY, "--hold", "case-1")
    hours = ("--from", str(event["hour"]), "--to", str(event["hour"]))
    ask(world, "hold", "place", *about, *hours, "--sign-with", world.office.key("legal"))
    yield
    world.set_hour(event["hour"] + 3.5)
    still_opens = lambda: prober.figures().sum("canary_events_total", outcome="still-opens")  # noqa: E731
    wait_until(still_opens, 60, "the canary has looked", alive=prober)
    yield
    ask(world, "hold", "release", *about, *signed(world.office))
    yield


@fault("HoursealCanaryStale", may=("HoursealWorkerDown", "HoursealNotReady"), settings=CANARY_SETTINGS, testkit=True, instances=("canary",), long=True)
def a_canary_that_proves_nothing_for_hours(world: World):
    """Its clock is that of five hours ago, when it began."""
    prober = canary(world, HOUR + 0.5)
    yield
    prober.stop()
    world.set_hour(HOUR - 4.5)
    prober = world.canary(world.office.settings)
    yield
    prober.stop()
    world.set_hour(HOUR + 0.5)
    world.canary(world.office.settings)
    yield


@fault(
    "HoursealKeksOverdue",
    may=("HoursealSweepLags", "HoursealNotReady"),
    settings={"retention": {"default": "2h", "sweep": "1s"}, "kek": {"destroy": "1s"}},
    testkit=True,
    long=True,
)
def a_kek_whose_hours_are_not_swept(world: World):
    """As with a trust store that cannot be read, for more than a day."""
    steps = a_trust_store_that_cannot_be_read(world)
    next(steps)
    yield
    next(steps)
    world.set_hour((HOUR // 24 + 2) * 24 + 1)
    yield
    next(steps)
    yield


@fault(
    "HoursealErasureLate",
    may=("HoursealWorkerDown",),
    settings={"retention": {"default": "2h"}, "ring": {"lease": "10m"}},
    testkit=True,
    instances=("w1",),
    long=True,
    factor=10,  # the process is paused for longer than the quarter of a minute in which the rule would look for a rate
)
def a_process_that_hears_late_of_erasures(world: World):
    world.set_hour(HOUR + 0.5)
    world.worker("w0")
    late = world.worker("w1", settings={"control": {"execute": False}})
    world.feed_some(events(b"acme", HOUR), 20)
    world.await_drained()
    world.set_hour(HOUR + 3.5)
    yield
    late.pause()
    erase(world, "c-1", HOUR, HOUR)
    await_receipt(world, "c-1")
    time.sleep(35)
    late.resume()
    yield
    yield


# --- the key store


@fault("HoursealStoreFails", may=("HoursealNotReady", "HoursealStalled", "HoursealLaneWaits"), on_cassandra=True, long=True)
def a_key_store_that_refuses(world: World):
    sealing(world)
    yield
    world.store.cassandra.kill(1, signal.SIGSTOP)
    world.feed_some(aged(0, b"unknown"), 20)
    try:
        yield
    finally:
        world.store.cassandra.kill(1, signal.SIGCONT)
    world.await_drained()
    yield
