"""How long data is kept is changed by a signed command: for what comes, and for what is there and not due yet."""

import json
import shutil
from datetime import UTC, datetime
from itertools import islice

import pytest
from children import wait_until
from erasures import events, outcomes
from keks import GOING, Copy, destroyed
from office import SETTLED, Office, ask
from oracle.events import HOUR_MS, now_ms
from oracle.keystore import LIVE
from sweeps import await_swept, sweeps
from world import TESTKIT, World

HOUR = now_ms() // HOUR_MS - 1
DUE = HOUR + 3
AFTER = (DUE // 24 + 1) * 24 + 1


@pytest.fixture
def make_kept(kafka, make_world, tmp_path):
    """Two customers have sealed an hour that is kept for `default`."""

    def make(default: str, store=None) -> World:
        settings = {**GOING, "retention": {"default": default, "sweep": "1s"}}
        world = make_world(kafka, store=store, binary=TESTKIT, settings=settings)
        world.office = Office(tmp_path / "office", world.binary)
        world.env = {**world.env, **SETTLED}
        # In the hour after theirs, however long other tests have taken since `HOUR` was told.
        world.set_hour(HOUR + 1.4)
        world.feed(islice(events(b"acme", HOUR), 20))
        world.feed(islice(events(b"bravo", HOUR), 20))
        return world

    return make


def start(world: World):
    worker = world.worker(settings=world.office.settings)
    world.await_drained()
    return worker


def keep(world: World, customer: str, time: str, *signers: str, code: int = 0) -> dict:
    keys = [word for name in signers for word in ("--sign-with", world.office.key(name))]
    return ask(world, "retention", "set", "--customer", customer, "--keep", time, *keys, code=code)


def test_what_is_kept_for_longer_outlives_its_old_due_and_that_days_kek(make_kept, store):
    world = make_kept("2h", store)
    worker = start(world)
    copy = Copy(world, HOUR)
    refused = keep(world, "bravo", "240h", "job", code=65)
    assert (refused["outcome"], refused["why"]) == ("refused", "not-authorized")
    receipt = keep(world, "bravo", "240h", "dpo")
    assert (receipt["outcome"], receipt["retention_hours"], receipt["signers"]) == ("retention-set", 240, ["dpo"])
    shown = {row["customer"]: (row["retention_hours"], row["own"]) for row in world.cli_json("retention", "show", "--json")}
    assert shown == {None: (2, False), "bravo": (240, True)}
    (acme,) = world.cli_json("retention", "show", "--customer", "acme", "--json")
    assert (acme["retention_hours"], acme["own"]) == (2, False)

    world.set_hour(AFTER)
    (swept,) = await_swept(world, 1)
    (day,) = wait_until(lambda: destroyed(world), 40, "the KEK of the old day is destroyed", alive=worker)
    assert day["kek"] == copy.rows[0].kek and not copy.opens(), "copies of before open nothing of either"
    assert outcomes(world, "acme", HOUR) == {"erased"}
    assert outcomes(world, "bravo", HOUR) == {"opened"}

    world.feed(islice(events(b"bravo", HOUR), 20, 30))
    world.await_drained()
    rows = [row for row in world.keys().read_rows() if row.state == LIVE and row.slot.hour == HOUR]
    assert len(rows) == 2 and len({row.kek for row in rows}) == 1, "a late event is kept as long as the others"
    assert outcomes(world, "bravo", HOUR) == {"opened"}

    world.set_hour(HOUR + 1 + 240 - 0.5)
    assert outcomes(world, "bravo", HOUR) == {"opened"}
    world.set_hour(HOUR + 1 + 240)
    assert {hour.token for hour in await_swept(world, 2)} > {swept.token}
    assert outcomes(world, "bravo", HOUR) == {"erased"}
    worker.stop()


def test_what_is_kept_for_less_takes_two_and_says_how_long_copies_open(make_kept, store):
    world = make_kept("240h", store)
    worker = start(world)
    copy = Copy(world, HOUR)
    alone = keep(world, "acme", "1h", "dpo", code=65)
    assert (alone["outcome"], alone["why"]) == ("refused", "not-authorized")
    assert keep(world, "acme", "1h", "dpo", "legal")["outcome"] == "retention-set"
    # A minute ago it was not due, and now it is due with the next full hour.
    world.set_hour(HOUR + 2.5)
    (swept,) = await_swept(world, 1)
    assert (swept.hour, swept.key_count) == (HOUR, 1)
    assert outcomes(world, "acme", HOUR) == {"erased"} and outcomes(world, "bravo", HOUR) == {"opened"}
    ((receipt, _),) = sweeps(world)
    day_of_copies = ((HOUR + 241) // 24 + 1) * 24
    assert receipt["l3_by"].startswith(iso(day_of_copies)) and copy.opens(), "a copy of before opens until then"
    world.feed(islice(events(b"acme", HOUR), 20, 25))
    world.await_drained()
    assert outcomes(world, "acme", HOUR) == {"erased"}, "nothing is minted for it any more"
    worker.stop()


def iso(hour: int) -> str:
    return datetime.fromtimestamp(hour * 3_600, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def test_a_store_put_back_keeps_for_longer_what_is_to_be_kept_for_longer(make_kept):
    world = make_kept("2h")
    worker = start(world)
    worker.stop()
    folder, backup = world.store.path.parent, world.folder / "backup"
    shutil.copytree(folder, backup)
    worker = start(world)
    keep(world, "bravo", "240h", "dpo")
    worker.stop()
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)

    world.set_hour(DUE + 1)
    worker = start(world)
    await_swept(world, 1)
    assert outcomes(world, "acme", HOUR) == {"erased"}
    assert outcomes(world, "bravo", HOUR) == {"opened"}, "the sweep waited for the receipt"
    assert "HS1407" in worker.log.read_text()
    (bravo,) = world.cli_json("retention", "show", "--customer", "bravo", "--json")
    assert bravo["retention_hours"] == 240
    worker.stop()
    # A start in everyday life makes no change again.
    worker = start(world)
    assert json.dumps(world.cli_json("retention", "show", "--customer", "bravo", "--json")[0]) == json.dumps(bravo)
    worker.stop()


def test_an_hour_that_was_due_stays_due_though_nothing_is_known_of_it(make_kept, store):
    world = make_kept("2h", store)
    worker = start(world)
    assert keep(world, "acme", "400d", "dpo")["outcome"] == "retention-set"
    # Due before the change, without a row in the store: as one whose rows have faded.
    late = HOUR - 5
    world.feed(islice(events(b"acme", late), 3))
    world.feed(islice(events(b"acme", HOUR), 20, 23))
    world.await_drained()
    assert outcomes(world, "acme", late) == set()
    assert outcomes(world, "acme", HOUR) == {"opened"}
    records = world.topics.read(world.quarantine)
    assert [dict(record.headers())["hourseal-reason"] for record in records] == [b"erased"] * 3
    assert not any(record.value() for record in records)
    assert not [slot for slot in world.keys().rows() if slot.hour == late]
    worker.stop()
