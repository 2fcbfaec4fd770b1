"""What was quarantined is sealed once the cause is mended: as it came, once, and not what was forgotten meanwhile."""

import json
import os
import subprocess
import time
from collections import Counter
from datetime import datetime
from itertools import count

from children import wait_until
from confluent_kafka.admin import AdminClient
from erasures import DUE_SOON, await_receipt, erase
from oracle.events import HOUR_MS, now_ms, rfc3339
from topics import COMMITTED, header
from world import LONG, QUICK_SESSION, TESTKIT, Feeder, World

HOUR = now_ms() // HOUR_MS - 1
SMALL = {"event": {"max_bytes": "2KiB"}}
KILLS = 20 if LONG else 5
BATCHES = {"lane": {"batch_events": 200}}
serial = count()


class Bad:
    """Records that some settings refuse, and what each must come back as."""

    def __init__(self, world: World):
        self.world, self.feeder, self.sent = world, Feeder(world), []

    def put(self, *, customer: str = "acme", named: str = "customer_id", hour: int = HOUR, pad: int = 0, timed: bool = True):
        number = next(serial)
        at = hour * HOUR_MS + number
        time_of = f',"occurred_at":"{rfc3339(at)}"' if timed else ""
        payload = f'{{"{named}":"{customer}"{time_of},"n":{number},"pad":"{"x" * pad}"}}'.encode()
        key, headers = b"key-%d" % number, [(b"trace", b"%d" % number), (b"trace", None)]
        self.feeder.send(number % self.world.partitions, key, headers, payload, timestamp=at)
        self.sent.append((customer, at, key.decode(), payload.decode()))

    def finish(self):
        self.feeder.finish()


def redrive(world: World, settings: dict | None = None, *arguments: str) -> dict:
    return json.loads(world.cli("quarantine", "redrive", "--json", *arguments, settings=settings))


def whole(line: dict) -> tuple:
    assert len(line["headers"]) == 2
    at = round(datetime.fromisoformat(line["event_time"]).timestamp() * 1_000)
    assert at // HOUR_MS == line["hour"]
    return line["customer"], at, line["key"], line["payload"]


def sealed(world: World) -> list[tuple]:
    lines = world.opened()
    assert {line["outcome"] for line in lines} <= {"opened"}
    return sorted(map(whole, lines))


def test_quarantined_records_are_sealed_once_after_the_cause_is_mended(kafka, store, make_world):
    world = make_world(kafka, store=store, partitions=4, settings=QUICK_SESSION)
    bad = Bad(world)
    for number in range(60):
        bad.put(pad=4_000 if number % 3 == 0 else 10)
    for _ in range(10):
        bad.put(named="who")
    bad.finish()
    worker = world.worker(settings=SMALL)
    world.await_drained()
    assert Counter(header(record, "hourseal-reason") for record in world.topics.read(world.quarantine)) == {
        "too-large": 20,
        "no-customer": 10,
    }
    assert redrive(world, SMALL, "--dry-run") == {"to_redrive": 30, "reasons": {"too-large": 20, "no-customer": 10}}
    assert len(sealed(world)) == 40, "a dry run seals nothing"

    # One cause is mended, then the other; the worker goes on as it was.
    first = redrive(world)
    assert (first["sealed"], first["quarantined_again"], first["reasons"]) == (20, 10, {"no-customer": 10})
    mended = {"event": {"customer": "json:/who"}}
    second = redrive(world, mended)
    assert (second["sealed"], second["quarantined_again"], second["unreadable"]) == (10, 0, 0)
    assert sealed(world) == sorted(bad.sent), "each of them once, as it was sent"

    # A mark stands behind what it speaks of: no retention takes it sooner.
    marks = [record for record in world.topics.read(world.quarantine) if header(record, "hourseal-reason") == "redriven"]
    assert marks and all(header(it, "hourseal-origin").split("/")[1] == str(it.partition()) for it in marks)
    assert all(int(header(it, "hourseal-origin").split("/")[2]) < it.offset() for it in marks)

    # Nothing is left to do, also where Kafka has forgotten how far the group was.
    nothing = {"to_redrive": 0, "reasons": {}}
    assert redrive(world, mended) == nothing
    group = f"{world.group}.redrive"
    wait_for_empty(world, group)
    assert redrive(world, mended) == nothing
    bad.put(pad=4_000)
    bad.finish()
    world.await_drained()
    third = redrive(world)
    assert (third["sealed"], third["quarantined_again"]) == (1, 0)
    assert third["redriven_before"] >= 30, "it began at the start, and knew what was done"
    assert sealed(world) == sorted(bad.sent)
    origins = [line["origin"] for line in world.cli_json("quarantine", "ls", "--json") if line["reason"] == "no-customer"]
    assert len(origins) == 20 and len(set(origins)) == 10, "quarantined anew, it still says where it came from"
    worker.stop()


def wait_for_empty(world: World, group: str):
    """Deletes a group once its static member is gone: the session's time-out."""
    admin = AdminClient({"bootstrap.servers": world.kafka.bootstrap, "log_level": 0})
    until = time.monotonic() + 60
    while True:
        (done,) = admin.delete_consumer_groups([group]).values()
        if done.exception() is None:
            return
        assert time.monotonic() < until, done.exception()
        time.sleep(0.5)


def test_the_time_of_a_record_that_says_it_by_its_timestamp_is_kept(kafka, make_world):
    by_timestamp = {"event": {"time": "timestamp"}}
    world = make_world(kafka, partitions=2, settings=by_timestamp)
    bad = Bad(world)
    for _ in range(8):
        bad.put(named="who", timed=False, hour=HOUR - 3)
    bad.finish()
    worker = world.worker()
    world.await_drained()
    assert sealed(world) == []
    done = redrive(world, {"event": {"time": "timestamp", "customer": "json:/who"}})
    assert done["sealed"] == 8
    assert sealed(world) == sorted(bad.sent), "under the hour in which they were put, not that of their arrival here"
    worker.stop()


def test_what_was_forgotten_meanwhile_is_not_sealed(kafka, store, make_world):
    world = make_world(kafka, store=store, partitions=2, binary=TESTKIT, settings=DUE_SOON)
    world.set_clock(hours=0)
    bad = Bad(world)
    for customer in ("acme", "bravo"):
        for _ in range(5):
            bad.put(customer=customer, pad=4_000)
    bad.finish()
    worker = world.worker(settings=SMALL)
    world.await_drained()
    world.set_clock(hours=4)
    erase(world, "c1", HOUR, HOUR)
    await_receipt(world, "c1")
    # acme's hour is erased; bravo's is due, and nobody has swept it.
    done = redrive(world)
    assert (done["sealed"], done["forgotten_meanwhile"], done["reasons"]) == (0, 5, {"expired": 5})
    assert sealed(world) == []
    records = world.topics.read(world.quarantine)
    anew = [record for record in records if header(record, "hourseal-reason") == "expired"]
    assert len(anew) == 5 and all(record.value() is None for record in anew)
    worker.stop()


def kill_redrives(world: World, isolation: str):
    """Each is killed as soon as the output is seen to grow, by more than the markers of a transaction that was given up."""
    command = [world.binary, "quarantine", "redrive", "--json", "--config", world.config("cli", settings=BATCHES)]
    size = lambda: sum(world.topics.ends(world.output, isolation).values())  # noqa: E731
    for _ in range(KILLS):
        before = size()
        process = subprocess.Popen(command, cwd=world.folder, env={**os.environ, **world.env}, stdout=subprocess.PIPE)
        wait_until(lambda: size() > before + 2 * world.partitions, 60, "it works", every=0.002)  # noqa: B023
        process.kill()
        process.communicate()


def quarantine_many(world: World) -> Bad:
    bad = Bad(world)
    for _ in range(2_000):
        bad.put(pad=10_000)
    bad.finish()
    worker = world.worker(settings=SMALL)
    world.await_drained()
    worker.stop()
    return bad


def test_redrives_that_are_killed_seal_each_record_once(kafka, make_world):
    world = make_world(kafka, partitions=4, settings=QUICK_SESSION)
    bad = quarantine_many(world)
    kill_redrives(world, "read_uncommitted")
    begun = len(world.topics.read(world.output, "read_uncommitted"))
    redrive(world)
    assert begun > 0, "they were at work"
    assert sealed(world) == sorted(bad.sent)


def test_without_transactions_and_marks_such_kills_show_doubles(kafka, make_world):
    """The negative control: killed between its output and the offsets of what it has read."""
    world = make_world(kafka, partitions=4, binary=TESTKIT, settings=QUICK_SESSION)
    bad = quarantine_many(world)
    with world.without("transactions", "redrive-marks"):
        kill_redrives(world, COMMITTED)
        redrive(world)
    assert len(sealed(world)) > len(bad.sent)
