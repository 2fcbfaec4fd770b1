"""What may share a keyspace: one vault, one schema, one store for a group. Else exit 78 and what to do."""

import json
import shutil

import pytest
from children import wait_until
from oracle.events import job_events
from world import QUICK_SESSION, World, seeded


@pytest.fixture
def world(kafka, cassandra, make_world) -> World:
    return make_world(kafka, store=cassandra, settings=QUICK_SESSION)


def findings_of_check(world: World, code: int) -> dict[str, tuple[str, str]]:
    """`store check --json`: grade and text by what was looked at."""
    lines = [line for line in world.cli("store", "check", "--json", code=code).splitlines() if line.startswith("{")]
    found = [json.loads(line) for line in lines]
    return {finding["what"]: (finding["grade"], finding["text"]) for finding in found}


def test_a_worker_with_another_vault_is_refused_and_seals_nothing(world):
    world.feed_some(job_events(seeded()), 100)
    first = world.worker("w0")
    world.await_drained()
    other = {"kek": {"path": str(world.folder / "kek2"), "root_key_file": str(world.folder / "root2.key")}}
    second = world.worker("w1", ready=False, settings=other)
    wait_until(lambda: not second.alive, 40, "the second worker gives up")
    assert second.exit_code == 78, second.tail()
    assert "vault" in second.tail(), second.tail()
    first.stop()
    world.findings().assert_exactly_once()


def test_a_vault_without_a_registered_kek_makes_none_of_its_own(world):
    """The same vault id in two places is what `kek.shared` rules out; a worker that meets it waits or ends."""
    events = job_events(seeded(), late_share=0)
    world.feed_some(events, 100)
    worker = world.worker("w0")
    world.await_drained()
    worker.stop()
    copy = world.folder / "kek2"
    for folder in (copy, copy / "day"):
        folder.mkdir(mode=0o700)
    shutil.copy(world.vault / "vault", copy / "vault")
    assert list((world.vault / "day").iterdir())
    world.feed_some(events, 100)
    stray = world.worker("w1", ready=False, settings={"kek": {"path": str(copy)}})

    def refused() -> str | None:
        return stray.tail() if not stray.alive else stray.why_not_ready()

    wait_until(lambda: "KEK" in (refused() or ""), 60, "it says that the KEK is missing or another")
    assert not list((copy / "day").iterdir()), "it made a KEK under a registered id"
    stray.kill()
    worker = world.worker("w0")
    world.await_drained()
    worker.stop()
    world.findings().assert_exactly_once()


def test_a_vault_that_is_not_declared_shared_is_refused(world):
    said = world.cli("run", code=78, errors=True, settings={"kek": {"shared": False}})
    assert "kek.shared" in said, said


def test_two_keyspaces_cannot_claim_one_group(world):
    world.feed_some(job_events(seeded(), customers=20, late_share=0), 500)
    world.worker().stop()
    other = {"store": {"keyspace": f"{world.store.name}_b"}}
    try:
        world.cli("store", "init", settings=other)
        assert "another key store" in world.cli("run", code=78, errors=True, settings=other)
    finally:
        world.store.cql()(f"DROP KEYSPACE IF EXISTS {world.store.name}_b")


def test_a_missing_keyspace_is_refused_with_the_command_that_creates_it(kafka, cassandra, make_world):
    world = make_world(kafka, store=cassandra, init=False)
    said = world.cli("run", code=78, errors=True)
    assert "store init" in said and world.store.name in said, said
    grade, text = findings_of_check(world, code=78)["keyspace"]
    assert grade == "wrong" and "store init" in text
    world.cli("store", "init")
    world.worker().stop()
    assert world.store.cql() is not None


def test_what_store_init_created_fits_and_may_be_initialised_again(world):
    before = world.keys().meta("store_id"), world.keys().meta("token_key")
    world.cli("store", "init")
    assert (world.keys().meta("store_id"), world.keys().meta("token_key")) == before
    grades = {what: grade for what, (grade, _) in findings_of_check(world, code=0).items()}
    assert "wrong" not in grades.values(), grades
    assert {"server", "clocks", "keyspace", "transaction", "store"} <= grades.keys(), grades


def test_a_schema_that_is_newer_is_refused_by_run_init_and_check(world):
    world.store.cql()("UPDATE meta SET value = %s WHERE part = 'store' AND name = 'schema_version'", (b"99",))
    for command in (("run",), ("store", "init"), ("store", "check")):
        said = world.cli(*command, code=78, errors=True)
        assert "99" in said, f"{command}: {said}"
    value = world.keys().meta("schema_version")
    assert value == b"99", "somebody changed it back"
