"""When a day has ended, what wrapped its keys is destroyed: copies of the key store open nothing of it any more."""

import shutil
import time
from itertools import islice
from pathlib import Path

import pytest
from children import wait_until
from erasures import events, outcomes
from keks import GOING, Copy, destroyed
from office import Office, ask
from oracle.events import HOUR_MS, now_ms
from stores import Keyspace
from sweeps import await_swept
from world import LONG, TESTKIT, World, seeded

HOUR = now_ms() // HOUR_MS - 1
DUE = HOUR + 3
# An hour after the day of due, and the grace, have ended.
AFTER = (DUE // 24 + 1) * 24 + 1


@pytest.fixture
def world(kafka, store, make_world) -> World:
    world = make_world(kafka, store=store, binary=TESTKIT, settings=GOING)
    world.set_clock(hours=0)
    world.feed(islice(events(b"acme", HOUR), 20))
    world.feed(islice(events(b"bravo", HOUR), 20))
    return world


def ended(worker, state: str) -> float:
    return worker.figures().sum("ended_keks", state=state)


def test_a_copy_of_the_store_opens_nothing_once_the_day_of_due_has_ended(world):
    worker = world.worker()
    world.await_drained()
    copy = Copy(world, HOUR)
    assert copy.opens() and copy.kek_file(world).exists()

    world.set_hour(DUE)
    await_swept(world, 2)
    assert copy.opens(), "erased in the store, and not in its copies"
    assert destroyed(world) == []

    world.set_hour(AFTER)
    (receipt,) = wait_until(lambda: destroyed(world), 40, "the KEK is destroyed", alive=worker)
    assert (receipt["kek"], receipt["outcome"], receipt["level"]) == (copy.rows[0].kek, "kek-destroyed", "L3")
    assert receipt["from_hour"] <= DUE <= receipt["to_hour"] == receipt["from_hour"] + 23
    assert not copy.kek_file(world).exists() and not copy.opens()
    assert outcomes(world, "acme", HOUR) == {"erased"}
    wait_until(lambda: ended(worker, "free") == 0, 30, "nothing is left to destroy")
    worker.stop()
    assert len(destroyed(world)) == 1
    world.worker().stop()
    assert len(destroyed(world)) == 1, "a restart destroys nothing again"


def test_workers_killed_while_they_destroy_leave_one_receipt_of_each(world):
    worker = world.worker()
    world.await_drained()
    copy = Copy(world, HOUR)
    world.set_hour(AFTER)
    dice = seeded()
    for _ in range(20 if LONG else 3):
        time.sleep(dice.uniform(0, 3))  # anywhere between the first look and the last receipt
        worker.kill()
        worker.wait(20)
        worker = world.worker()
    wait_until(lambda: destroyed(world), 60, "the KEK is destroyed", alive=worker)
    wait_until(lambda: ended(worker, "free") == 0, 30, "nothing is left to destroy")
    assert [receipt["kek"] for receipt in destroyed(world)] == [copy.rows[0].kek]
    assert sorted(hour.hour for hour in await_swept(world, 2)) == [HOUR, HOUR]
    assert not copy.opens()
    worker.stop()


def test_a_held_key_outlives_its_day_and_no_copy_of_before_opens_it(world, tmp_path):
    world.office = office = Office(tmp_path / "office", world.binary)
    worker = world.worker(settings=office.settings)
    world.await_drained()
    copy = Copy(world, HOUR)
    hold = ("--customer", "bravo", "--hold", "case-17")
    hours = ("--from", str(HOUR), "--to", str(HOUR))
    ask(world, "hold", "place", *hold, *hours, "--sign-with", office.key("legal"))
    world.set_hour(AFTER)
    await_swept(world, 1)
    (day,) = wait_until(lambda: destroyed(world), 40, "the KEK of the day is destroyed", alive=worker)
    assert (day["kek"], day["held_keys"]) == (copy.rows[0].kek, 1)
    assert not copy.opens(), "neither what was erased nor what is held"
    assert outcomes(world, "acme", HOUR) == {"erased"}
    assert outcomes(world, "bravo", HOUR) == {"opened"}, "what is held opens"
    (held,) = [row for row in world.keys().read_rows() if row.wrapped]
    assert held.kek.startswith("hold/" + copy.rows[0].kek.removeprefix("day/"))
    wait_until(lambda: ended(worker, "held") == 1, 30, "its own KEK is seen to be kept", alive=worker)
    copy = Copy(world, HOUR, expected=1)
    assert copy.opens() and copy.kek_file(world).exists(), "a copy of now opens"

    both = ("--sign-with", office.key("dpo"), "--sign-with", office.key("legal"))
    assert ask(world, "hold", "release", *hold, *both)["outcome"] == "hold-released"
    wait_until(lambda: len(destroyed(world)) == 2, 40, "the hold's KEK is destroyed", alive=worker)
    assert destroyed(world)[1]["kek"] == held.kek and "held_keys" not in destroyed(world)[1]
    assert outcomes(world, "bravo", HOUR) == {"erased"} and not copy.opens()
    worker.stop()


def test_a_store_put_back_after_its_kek_is_destroyed_serves_nothing_of_it(kafka, make_world):
    world = make_world(kafka, binary=TESTKIT, settings=GOING)
    world.set_clock(hours=0)
    world.feed(islice(events(b"acme", HOUR), 20))
    worker = world.worker()
    world.await_drained()
    worker.stop()
    folder, backup, vault = world.store.path.parent, world.folder / "backup", world.folder / "vault-backup"
    shutil.copytree(folder, backup)
    shutil.copytree(world.vault, vault)
    world.set_hour(AFTER)
    worker = world.worker()
    wait_until(lambda: destroyed(world), 40, "the KEK is destroyed", alive=worker)
    worker.stop()

    def put_back(copy: Path, place: Path):
        shutil.rmtree(place)
        shutil.copytree(copy, place)

    put_back(backup, folder)
    world.refused()
    with world.unguarded():
        assert "opened" not in outcomes(world, "acme", HOUR), "without a worker, too"
    worker = world.worker()
    assert outcomes(world, "acme", HOUR) == {"erased"}
    assert "HS1407" in worker.log.read_text()
    worker.stop()

    put_back(backup, folder)
    put_back(vault, world.vault)
    world.refused()
    with world.unguarded():
        assert outcomes(world, "acme", HOUR) == {"opened"}, "who copies the vault too has everything: assumption A2"
    worker = world.worker(ready=False)
    why = "a copy was restored, and an operator must check the vault"
    wait_until(lambda: why in (worker.why_not_ready() or ""), 30, "it does not serve", alive=worker)
    worker.stop()
    assert len(destroyed(world)) == 1


def test_a_forged_call_destroys_no_kek_that_is_needed(world):
    worker = world.worker(settings={"kek": {"destroy": "0s"}, "retention": {"sweep": "0s"}})
    world.await_drained()
    copy = Copy(world, HOUR)
    kek = copy.rows[0].kek

    def forge(nonce: int):
        call = {"id": f"~destroy-kek/{kek}/{nonce:016x}", "type": "destroy-kek", "kek": kek}
        world.command_bytes(str(call).replace("'", '"').replace(" ", "").encode())

    count = lambda: worker.figures().sum("control_messages_total", kind="destroy-kek", outcome="nothing-due")  # noqa: E731
    forge(1)
    wait_until(lambda: count() == 1, 30, "it is looked at", alive=worker)
    world.set_hour(AFTER)
    forge(2)
    wait_until(lambda: count() == 2, 30, "it is looked at", alive=worker)
    assert copy.opens() and world.receipt_bodies() == []
    worker.stop()
    if isinstance(world.store, Keyspace):
        assert world.store.cql()("SELECT digest FROM verdict") == []
