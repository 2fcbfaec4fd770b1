"""The clock's sweep: what is due goes although nobody asks for it, and its receipt names every hour."""

import json
import random
import shutil
from itertools import islice

import pytest
from children import wait_until
from confluent_kafka import Producer
from erasures import events, outcomes
from office import Office, ask
from oracle.events import HOUR_MS, now_ms
from oracle.keystore import ERASED
from signing_key import write_signing_key
from stores import Keyspace, on_each_store
from sweeps import await_swept, sweeps
from verifiers import Verifiers
from world import LONG, TESTKIT, World, seeded

HOUR = now_ms() // HOUR_MS - 1
# No key is made for an hour in which nothing comes: the hours are counted.
SWEEPING = {"retention": {"default": "2h", "sweep": "1s"}}


@pytest.fixture
def world(kafka, store, make_world) -> World:
    """Three customers have sealed an hour, one of them the next one too; nothing is due yet."""
    world = make_world(kafka, store=store, binary=TESTKIT, settings=SWEEPING)
    world.set_clock(hours=0)
    for customer in (b"acme", b"bravo", b"cargo"):
        world.feed(islice(events(customer, HOUR), 20))
    world.feed(islice(events(b"acme", HOUR + 1), 5))
    return world


def make_due(world: World):
    """Half an hour after the first hour is due, and half an hour before the second is."""
    world.set_hour(HOUR + 3.5)


@on_each_store
def test_due_hours_go_without_a_command_and_the_receipt_names_each_of_them(world):
    worker = world.worker()
    world.await_drained()
    listed = world.cli_json("keys", "ls", "--json")
    assert world.cli_json("retention", "sweep", "--dry-run", "--json") == []
    assert sweeps(world) == []

    make_due(world)
    swept = await_swept(world, 3)
    expected = {
        (key["token"], key["hour"], ((key["generation"], key["key_id"], key["kek"]),)) for key in listed if key["hour"] == HOUR
    }
    assert {(hour.token, hour.hour, hour.keys) for hour in swept} == expected and len(swept) == 3
    for customer in ("acme", "bravo", "cargo"):
        assert outcomes(world, customer, HOUR) == {"erased"}
    assert outcomes(world, "acme", HOUR + 1) == {"opened"}

    ((receipt, _),) = sweeps(world)
    assert (receipt["outcome"], receipt["issuer"], receipt["from_hour"], receipt["to_hour"]) == ("erased", "clock", HOUR, HOUR)
    assert "token" not in receipt and receipt["keys"] == [] and receipt["key_count"] == 3
    figures = worker.figures()
    assert figures.sum("swept_total") == 3
    assert figures.sum("control_messages_total", kind="sweep", outcome="erased") == 1
    wait_until(lambda: worker.figures().sum("sweep_overdue") == 0, 20, "the next look finds nothing due")
    assert worker.figures().sum("sweep_lag_seconds") == 0
    if not isinstance(world.store, Keyspace):
        rows = world.keys().rows()
        assert all(row.state == ERASED and not row.wrapped for slot, row in rows.items() if slot.hour == HOUR)
    worker.stop()


def test_an_hour_that_went_in_a_sweep_is_certified_and_proven_outside(kafka, store, make_world, tmp_path):
    key_file = write_signing_key(tmp_path)
    settings = {**SWEEPING, "receipts": {"signing_key_file": str(key_file)}, "kek": {"destroy": "1s"}}
    world = make_world(kafka, store=store, binary=TESTKIT, settings=settings)
    world.set_clock(hours=0)
    for customer in (b"acme", b"bravo", b"cargo"):
        world.feed(islice(events(customer, HOUR), 3))
    worker = world.worker()
    world.await_drained()
    make_due(world)
    await_swept(world, 3)
    about = ("--customer", "bravo", "--hour", str(HOUR))
    wait_until(lambda: worker.get("/checkpoint")[0] == 200, 30, "the sweep is signed", alive=worker)
    (bravo,) = [key for key in world.cli_json("keys", "ls", "--json") if key["customer"] == "bravo"]

    certificate = json.loads(world.cli("receipts", "certificate", *about, "--json"))
    assert (certificate["outcome"], certificate["level"], certificate["l3_done_at"]) == ("erased", "L1", None)
    assert (certificate["customer_token"], certificate["keys_erased"]) == (bravo["token"], 1)
    (key,) = certificate["keys"]
    assert key["key_id"] == bravo["key_id"] and certificate["first_hour"] == certificate["last_hour"] == HOUR
    proof = tmp_path / "bravo.proof"
    proof.write_text(certificate["proof"])
    if shutil.which("go"):
        (verdict,) = Verifiers(world.binary, tmp_path).of_files(certificate["verifier_key"], [proof])
        assert verdict.startswith("ok ")
    shown = json.loads(world.cli("receipts", "verify", str(proof), "--key", certificate["verifier_key"], "--json", bare=True))
    assert shown["hour"] == {"token": bravo["token"], "hour": HOUR, "key_count": 1}
    assert len(world.cli_json("receipts", "ls", "--customer", "bravo", "--json")) == 1
    assert world.cli_json("receipts", "ls", "--customer", "nobody", "--json") == []
    nothing = ("receipts", "certificate", "--customer", "bravo", "--hour", str(HOUR + 1))
    assert f"no receipt covers hour {HOUR + 1} of that customer" in world.cli(*nothing, code=65, errors=True)

    world.set_hour(((HOUR + 3) // 24 + 1) * 24 + 1)
    level = lambda: json.loads(world.cli("receipts", "certificate", *about, "--json"))["level"]  # noqa: E731
    wait_until(lambda: level() == "L3", 40, "the KEK is destroyed, and the certificate says so", every=1)
    worker.stop()


def test_a_process_that_does_not_sweep_says_what_is_due_and_how_long_ago(world):
    worker = world.worker(settings={"retention": {"sweep": "0s"}})
    world.await_drained()
    make_due(world)
    listed = wait_until(lambda: world.cli_json("retention", "sweep", "--dry-run", "--json"), 20, "hours are due")
    assert [(due["customer"], due["hour"], due["held"]) for due in sorted(listed, key=lambda due: due["customer"])] == [
        (customer, HOUR, False) for customer in ("acme", "bravo", "cargo")
    ]
    assert "3 hour(s) due and free, 0 held" in world.cli("retention", "sweep", "--dry-run")
    assert "more than 2" in world.cli("retention", "sweep", "--dry-run", "--limit", "2")
    assert outcomes(world, "acme", HOUR) == {"opened"}, "looking changes nothing"
    worker.stop()
    assert sweeps(world) == []


def test_a_hold_keeps_its_hour_from_the_sweep_and_its_release_lets_it_go(world, tmp_path):
    office = Office(tmp_path / "office", world.binary)
    world.office = office
    worker = world.worker(settings=office.settings)
    world.await_drained()
    hold = ("--customer", "bravo", "--hold", "case-17")
    hours = ("--from", str(HOUR - 5), "--to", str(HOUR + 5))
    ask(world, "hold", "place", *hold, *hours, "--sign-with", office.key("legal"))
    make_due(world)
    await_swept(world, 2)
    (held,) = world.cli_json("retention", "sweep", "--dry-run", "--json")
    assert (held["customer"], held["held"]) == ("bravo", True)
    assert outcomes(world, "bravo", HOUR) == {"opened"} and outcomes(world, "acme", HOUR) == {"erased"}
    assert worker.figures().sum("sweep_overdue") == 0, "what is held is not overdue"

    both = ("--sign-with", office.key("dpo"), "--sign-with", office.key("legal"))
    assert ask(world, "hold", "release", *hold, *both)["outcome"] == "hold-released"
    assert len(await_swept(world, 3)) == 3
    assert outcomes(world, "bravo", HOUR) == {"erased"}
    worker.stop()


def test_a_forged_call_does_no_more_than_the_clock_and_leaves_no_trace(world):
    worker = world.worker(settings={"control": {"require_signatures": True}})
    world.await_drained()
    producer = Producer({"bootstrap.servers": world.kafka.bootstrap, "log_level": 0})
    due = HOUR + 1000
    for nonce in range(50):
        producer.produce(world.control, b'{"id":"~sweep/%d/%016x","type":"sweep","due":%d}' % (due, nonce, due))
    for other in (b'{"id":"~sweep/1/1","type":"sweep","due":1}', b'{"id":"x","type":"sweep","due":1}'):
        producer.produce(world.control, other)
    assert producer.flush(20) == 0
    count = lambda **labels: worker.figures().sum("control_messages_total", **labels)  # noqa: E731
    wait_until(lambda: count(outcome="unreadable") == 2, 30, "all of it is looked at", alive=worker)
    assert count(kind="sweep", outcome="nothing-due") == 50
    assert world.topics.read(world.receipts) == []
    assert outcomes(world, "acme", HOUR) == {"opened"}
    worker.stop()


@on_each_store
def test_workers_killed_while_they_sweep_put_each_hour_into_one_receipt(kafka, store, make_world):
    world = make_world(kafka, store=store, binary=TESTKIT, settings=SWEEPING)
    world.set_clock(hours=0)
    names = [b"customer-%d" % number for number in range(600 if LONG else 200)]
    world.feed(event for name in names for event in islice(events(name, HOUR), 1))
    worker = world.worker()
    world.await_drained()
    tokens = {key["token"] for key in world.cli_json("keys", "ls", "--json")}
    assert len(tokens) == len(names)
    dice = seeded()
    make_due(world)
    for _ in range(20 if LONG else 4):
        kill_while_it_sweeps(worker, dice)
        worker = world.worker()
    swept = await_swept(world, len(names), 90)
    assert sorted(hour.token for hour in swept) == sorted(tokens), "each hour is in exactly one receipt"
    assert {hour.key_count for hour in swept} == {1}
    assert {line["outcome"] for line in world.opened()} == {"erased"}
    worker.stop()


def kill_while_it_sweeps(worker, dice: random.Random):
    moment = dice.uniform(0, 1.5)
    try:
        wait_until(lambda: False, moment, "")
    except AssertionError:
        worker.kill()
    worker.wait(20)


def test_a_store_put_back_from_a_backup_is_swept_again_before_it_serves(kafka, make_world):
    world = make_world(kafka, binary=TESTKIT, settings=SWEEPING)
    world.set_clock(hours=0)
    world.feed(islice(events(b"acme", HOUR), 20))
    worker = world.worker()
    world.await_drained()
    worker.stop()
    backup = world.folder / "backup"
    shutil.copytree(world.store.path.parent, backup)

    make_due(world)
    worker = world.worker()
    await_swept(world, 1)
    worker.stop()
    shutil.rmtree(world.store.path.parent)
    shutil.copytree(backup, world.store.path.parent)
    world.refused()
    with world.unguarded():
        assert outcomes(world, "acme", HOUR) == {"opened"}, "the backup has the key"

    worker = world.worker(settings={"retention": {"sweep": "0s"}})
    assert outcomes(world, "acme", HOUR) == {"erased"}
    assert "HS1407" in worker.log.read_text()
    worker.stop()
    assert len(sweeps(world)) == 1
