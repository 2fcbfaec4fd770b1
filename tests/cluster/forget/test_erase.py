"""At the end of retention a control message erases an hour: one receipt, and what opened before opens no more."""

import shutil

import pytest
from children import wait_until
from erasures import DUE_SOON, await_receipt, erase, events, outcomes, receipts_of, values
from oracle.events import HOUR_MS, Event, now_ms, rfc3339
from oracle.keystore import ERASED, FENCED, LIVE
from stores import Keyspace, on_each_store
from world import TESTKIT, World

HOUR = now_ms() // HOUR_MS - 1


@pytest.fixture
def world(kafka, store, make_world):
    return make_world(kafka, store=store)


@pytest.fixture
def sealed_world(kafka, store, make_world) -> World:
    """acme has sealed two hours, other one hour; nothing is due yet."""
    world = make_world(kafka, store=store, binary=TESTKIT, settings=DUE_SOON)
    world.set_clock(hours=0)
    world.feed_some(events(b"acme", HOUR), 50)
    world.feed_some(events(b"acme", HOUR + 1), 1)
    world.feed_some(events(b"other", HOUR), 50)
    return world


@on_each_store
def test_a_due_hour_is_erased_with_one_receipt_and_opens_no_longer(sealed_world):
    world = sealed_world
    worker = world.worker(lanes=2)
    world.await_drained()
    slots = [slot for slot in world.keys().rows() if (slot.customer, slot.hour) == (b"acme", HOUR)]
    wrapped = [world.keys().row(slot).wrapped for slot in slots]
    assert slots and outcomes(world, "acme", HOUR) == {"opened"}

    world.set_clock(hours=4)
    erase(world, "c1", HOUR, HOUR)
    receipt = await_receipt(world, "c1")
    assert "erased" in values(receipt), receipt
    assert "acme" not in str(receipt), "a receipt carries the token, not the name"

    assert outcomes(world, "acme", HOUR) == {"erased"}
    assert outcomes(world, "acme", HOUR + 1) == outcomes(world, "other", HOUR) == {"opened"}
    rows, gates = world.keys().rows(), world.keys().gates()
    for slot in slots:
        assert (rows[slot].state, rows[slot].wrapped) == (ERASED, b"")
    assert gates[b"acme", HOUR]["state"] == FENCED
    assert all(row.state == LIVE for slot, row in rows.items() if slot not in slots)
    shown = world.cli("keys", "ls", "--json")
    assert "erased" in shown
    check_traces(world, wrapped)
    worker.stop()

    world.worker(lanes=2).stop()
    assert len(receipts_of(world, "c1")) == 1, "a restart writes no second receipt"


def check_traces(world: World, wrapped: list[bytes]):
    """What the store itself still has of the erased hour."""
    if isinstance(world.store, Keyspace):
        # Until they are compacted, a server's files hold what was overwritten: this level of erasure is its answers'.
        assert (b"acme", HOUR) not in {(customer, hour) for customer, hour, _ in world.keys().due_rows()}
        found = world.store.cql()("SELECT hour, generation, state, wrapped, command, erased_at FROM key")
        fenced = {command for hour, generation, state, _, command, _ in found if generation < 0 and state == FENCED}
        (digest,) = fenced
        erased = [row for row in found if row[1] >= 0 and row[2] == ERASED]
        assert len(erased) == len(wrapped)
        assert all((secret, command) == (b"", digest) and at for _, _, _, secret, command, at in erased), erased
        return
    for file in world.store.path.parent.iterdir():
        content = file.read_bytes()
        assert not any(secret in content for secret in wrapped), f"{file.name} still holds an erased key"


def test_an_event_of_an_erased_hour_is_quarantined_without_its_content(sealed_world):
    world = sealed_world
    worker = world.worker()
    world.await_drained()
    world.set_clock(hours=4)
    erase(world, "c1", HOUR, HOUR)
    await_receipt(world, "c1")
    keys_before = world.keys().rows().keys()

    straggle(world)
    worker.stop()
    assert world.keys().rows().keys() == keys_before, "a key was minted for it"


@on_each_store
def test_events_of_an_hour_that_has_faded_are_quarantined_all_the_same(sealed_world):
    world = sealed_world
    worker = world.worker()
    world.await_drained()
    world.set_clock(hours=4)
    erase(world, "c1", HOUR, HOUR)
    await_receipt(world, "c1")
    worker.stop()
    assert HOUR in {hour for customer, hour in world.keys().gates() if customer == b"acme"}

    # The markers of what was forgotten go 97 days after due, and the floor moves up behind them.
    world.set_hour(HOUR + 101 * 24)
    worker = world.worker()
    known = lambda: HOUR in {hour for customer, hour in world.keys().gates() if customer == b"acme"}  # noqa: E731
    wait_until(lambda: not known(), 30, "its markers are gone", alive=worker)
    assert outcomes(world, "acme", HOUR) == {"gone"}
    straggle(world)
    worker.stop()
    assert not known() and (b"acme", HOUR) not in {(slot.customer, slot.hour) for slot in world.keys().rows()}


def straggle(world: World):
    """An event of the erased hour comes, and is quarantined without its content."""
    at = HOUR * HOUR_MS + 77_777
    payload = b'{"customer_id":"acme","occurred_at":"%s","straggler":true}' % rfc3339(at).encode()
    world.feed([Event(b"acme", at, None, (), payload)])
    world.await_drained()
    (record,) = world.topics.read(world.quarantine)
    assert (record.key(), record.value()) == (None, None)
    assert dict(record.headers())["hourseal-reason"] in (b"erased", b"expired")


def test_a_quarantined_record_is_erased_with_its_customers_hour(sealed_world):
    world = sealed_world
    worker = world.worker()
    bad = events(b"acme", HOUR)
    world.feed([next(bad)._replace(payload=b'{"customer_id":"acme","occurred_at":"soon"}')])
    world.await_drained()
    (before,) = world.cli_json("quarantine", "ls", "--json")
    assert before["outcome"] == "opened"

    world.set_clock(hours=5)
    erase(world, "c1", HOUR, before["hour"])
    await_receipt(world, "c1")
    (after,) = world.cli_json("quarantine", "ls", "--json")
    assert after["outcome"] == "erased"
    worker.stop()


def test_a_plan_says_what_an_erasure_would_meet_and_changes_nothing(sealed_world):
    world = sealed_world
    worker = world.worker()
    world.await_drained()
    rows = world.keys().rows()
    plan = ["erase", "plan", "--customer", "acme", "--from", str(HOUR), "--to", str(HOUR + 1), "--json"]
    (before,) = world.cli_json(*plan)
    assert before["live_keys"] == sum(slot.customer == b"acme" for slot in rows)
    assert sum(part["records"] for part in before["records"]) == 51
    assert (before["is_due"], before["holds_in_the_way"]) == (False, [])
    world.set_clock(hours=5)
    (after,) = world.cli_json(*plan)
    assert after["is_due"] and "retention-end" in after["takes"]
    assert world.keys().rows() == rows, "nothing was changed"
    worker.stop()


WEEK = 7 * 24


@on_each_store
def test_what_nobody_sweeps_goes_a_week_after_its_due(sealed_world):
    world = sealed_world
    worker = world.worker()
    world.await_drained()
    worker.stop()
    world.set_hour(HOUR + 1.9 + WEEK)
    before = world.worker()
    assert outcomes(world, "acme", HOUR) == {"opened"}, "it is due, and not yet overdue"
    before.stop()
    wrapped = [row.wrapped for slot, row in world.keys().rows().items() if slot.hour == HOUR]
    world.set_clock(hours=5 + WEEK)
    worker = world.worker()
    wait_until(lambda: outcomes(world, "acme", HOUR) == {"erased-by-ttl"}, 30, "the fail-safe has come by")
    assert worker.figures().sum("key_operations_total", op="expire", outcome="ok") >= len(wrapped) > 0
    if not isinstance(world.store, Keyspace):
        content = b"".join(file.read_bytes() for file in world.store.path.parent.iterdir())
        assert not any(secret in content for secret in wrapped), "a file still holds an expired key"
    worker.stop()


def test_an_hour_that_is_not_due_is_refused_with_a_receipt_and_stays(world):
    world.feed_some(events(b"acme", HOUR), 50)
    worker = world.worker()
    world.await_drained()
    erase(world, "too-early", HOUR, HOUR)
    receipt = await_receipt(world, "too-early")
    assert "refused" in values(receipt), receipt
    assert outcomes(world, "acme", HOUR) == {"opened"}
    worker.stop()


def test_an_old_hour_without_a_key_is_fenced_all_the_same(world):
    worker = world.worker()
    long_ago = HOUR - 50 * 24
    erase(world, "nothing-there", long_ago, long_ago)
    receipt = await_receipt(world, "nothing-there")
    assert "nothing-to-erase" in values(receipt), receipt
    worker.stop()


def test_an_unsigned_command_is_counted_and_nothing_else(kafka, store, make_world):
    world = make_world(kafka, store=store, settings={"control": {"require_signatures": True}})
    worker = world.worker()
    erase(world, "unsigned", HOUR - 50 * 24, HOUR - 50 * 24)
    unverified = {"kind": "unknown", "outcome": "unverified"}
    wait_until(lambda: worker.figures().sum("control_messages_total", **unverified) == 1, 30, "it is counted")
    assert world.receipt_bodies() == []
    worker.stop()


def test_a_store_that_was_put_back_is_replayed_before_anybody_reads_it(kafka, make_world):
    world = make_world(kafka, binary=TESTKIT, settings=DUE_SOON)
    world.set_clock(hours=0)
    world.feed_some(events(b"acme", HOUR), 50)
    worker = world.worker()
    world.await_drained()
    worker.stop()
    folder = world.store.path.parent
    copy = folder.with_name("copy-of-the-store")
    shutil.copytree(folder, copy)
    world.set_clock(hours=4)
    worker = world.worker()
    erase(world, "c1", HOUR, HOUR)
    await_receipt(world, "c1")
    worker.stop()
    assert outcomes(world, "acme", HOUR) == {"erased"}

    shutil.rmtree(folder)
    copy.rename(folder)
    for words in (("open", "--from-beginning"), ("quarantine", "ls", "--json"), ("reclaim", "--dry-run")):
        assert "store replay" in world.refused(*words)
    with world.unguarded():
        assert outcomes(world, "acme", HOUR) == {"opened"}, "the control: put back, and nobody looks, it opens"
    assert world.cli_json("store", "replay", "--json") == [{"applied_again": 1, "held": 0}]
    assert outcomes(world, "acme", HOUR) == {"erased"}
    assert world.cli_json("store", "replay", "--json") == [{"applied_again": 0, "held": 0}]
