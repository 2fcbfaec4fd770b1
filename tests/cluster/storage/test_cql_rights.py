"""A CQL server that asks who one is: what it denies to each of the four roles, and what they do together."""

import os
from collections.abc import Iterator

import pytest
from cassandra import Unauthorized
from children import wait_until
from cql import Cql
from erasures import DUE_SOON, await_receipt, erase, events, outcomes, values
from oracle.events import HOUR_MS, now_ms
from oracle.keystore import ERASED
from servers import Cassandra
from world import TESTKIT, World

HOUR = now_ms() // HOUR_MS - 1
PASSWORD = "guarded-51c0"
TABLES = {
    "key": (
        '("token", day, hour, generation, state) VALUES (0x00, 0, 0, 0, 2)',
        "state = 3",
        '"token" = 0x00 AND day = 0',
    ),
    "customer": ('("token", day, name) VALUES (0x00, 0, 0x00)', "name = 0x01", '"token" = 0x00'),
    "due": ('(due_day, shard, due, "token", hour) VALUES (0, 0, 0, 0x00, 0)', None, "due_day = 0 AND shard = 0"),
    "kek": ("(id, state) VALUES ('day/none', 1)", "state = 2", "id = 'day/none'"),
    "started": ("(input, partition) VALUES ('none', 0)", None, "input = 'none'"),
    "placement": ("(topic, partitions) VALUES ('none', 1)", "partitions = 2", "topic = 'none'"),
    "probe": ("(id, part, value) VALUES ('none', 0, 0)", None, "id = 'none'"),
    "policy": ('("token", floor) VALUES (0x00, 0)', "floor = 1", '"token" = 0x00'),
    "hold": ("(id, from_hour) VALUES (0x00, 0)", "from_hour = 1", "id = 0x00"),
    "verdict": ("(digest, body) VALUES (0x00, 0x00)", "body = 0x01", "digest = 0x00"),
    "command": ("(id, digest) VALUES ('none', 0x00)", "digest = 0x01", "id = 'none'"),
    "receipt_mark": ("(part, \"offset\") VALUES ('none', 0)", '"offset" = 1', "part = 'none'"),
    "meta": ("(part, name, value) VALUES ('none', 'none', 0x00)", "value = 0x01", "part = 'none' AND name = 'none'"),
}
DECIDED = {"policy", "hold", "verdict", "command", "receipt_mark"}
WRITES = {"sealer": TABLES.keys() - DECIDED - {"meta"}, "eraser": TABLES.keys() - {"meta"}, "auditor": set()}
DEFINES = [
    "CREATE TABLE other (id int PRIMARY KEY)",
    "ALTER TABLE key WITH comment = 'x'",
    "CREATE INDEX other ON key (state)",
    "DROP TABLE probe",
    "DROP KEYSPACE {keyspace}",
    "CREATE ROLE other_{keyspace}",
    "GRANT MODIFY ON KEYSPACE {keyspace} TO {user}",
    "GRANT {keyspace}_admin TO {user}",
]


@pytest.fixture(scope="module")
def guarded():
    with Cassandra(settings=Cassandra.GUARDED) as server:
        yield server


@pytest.fixture
def world(kafka, guarded, make_world) -> World:
    world = make_world(kafka, store=guarded, binary=TESTKIT, settings=DUE_SOON, init=False)
    world.cli("store", "init", "--roles")
    return world


def user_with(world: World, role: str) -> tuple[str, str]:
    """A new user who has that role of this keyspace."""
    user = f"{role}_{os.urandom(3).hex()}"
    cql = world.store.cql()
    cql(f"CREATE ROLE {user} WITH LOGIN = true AND PASSWORD = '{PASSWORD}'")
    cql(f"GRANT {world.store.name}_{role} TO {user}")
    return user, PASSWORD


def as_user(world: World, role: str) -> dict:
    """Settings with which a process connects as such a user."""
    user, password = user_with(world, role)
    file = world.folder / user
    file.write_text(password + "\n")
    return {"store": {"user": user, "password_file": str(file)}}


def writes_to(table: str) -> list[str]:
    insert, update, where = TABLES[table]
    statements = [f"INSERT INTO {table} {insert}", f"DELETE FROM {table} WHERE {where}"]
    if update and table not in {"key", "customer"}:
        statements.append(f"UPDATE {table} SET {update} WHERE {where}")
    if table == "key":
        statements.append(f"UPDATE key SET {update} WHERE {where} AND hour = 0 AND generation = 0")
        statements.append(f"INSERT INTO key {insert} IF NOT EXISTS")
    return statements


def denied(cql: Cql, statement: str) -> bool:
    try:
        cql(statement)
    except Unauthorized:
        return True
    return False


@pytest.fixture(scope="module")
def keyspace(kafka, guarded, tmp_path_factory) -> Iterator[World]:
    """One for all who only try what they may not."""
    world = World(kafka, tmp_path_factory.mktemp("keyspace"), "keyspace", store=guarded, init=False)
    world.cli("store", "init", "--roles")
    yield world
    world.end()


@pytest.mark.parametrize("role", ["sealer", "eraser", "auditor"])
def test_the_server_itself_denies_what_a_role_is_not_for(keyspace, role):
    """Each statement stands beside its control: the superuser may execute all of them, the role what it is for."""
    world = keyspace
    user, password = user_with(world, role)
    with Cql(world.store.cassandra, (user, password), world.store.name) as cql:
        for table in TABLES:
            assert not denied(cql, f"SELECT * FROM {table}"), f"{role} may not read {table}"
            for statement in writes_to(table):
                assert denied(cql, statement) == (table not in WRITES[role]), f"{role}: {statement}"
                assert not denied(world.store.cql(), statement), f"the control: {statement}"
        for definition in DEFINES:
            statement = definition.format(keyspace=world.store.name, user=user)
            assert denied(cql, statement), f"{role}: {statement}"


def test_the_admin_may_define_and_has_no_right_beyond_the_keyspace(keyspace):
    with Cql(keyspace.store.cassandra, user_with(keyspace, "admin"), keyspace.store.name) as cql:
        assert not denied(cql, "CREATE TABLE other (id int PRIMARY KEY)")
        assert not denied(cql, "DROP TABLE other")
        replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
        assert denied(cql, f"CREATE KEYSPACE other WITH replication = {replication}")
        assert denied(cql, "CREATE ROLE other")


def test_a_user_without_a_role_reads_nothing(keyspace):
    user = f"nobody_{os.urandom(3).hex()}"
    keyspace.store.cql()(f"CREATE ROLE {user} WITH LOGIN = true AND PASSWORD = '{PASSWORD}'")
    with Cql(keyspace.store.cassandra, (user, PASSWORD)) as cql:
        assert all(denied(cql, f"SELECT * FROM {keyspace.store.name}.{table}") for table in TABLES)


def test_a_sealer_and_an_eraser_seal_and_erase_together(world):
    world.set_clock()
    sealing = as_user(world, "sealer") | {"control": {"execute": False}}
    sealer = world.worker("sealer", settings=sealing)
    eraser = world.worker("eraser", lanes=0, settings=as_user(world, "eraser"))
    world.feed_some(events(b"acme", HOUR), 50)
    world.feed_some(events(b"acme", HOUR + 1), 1)
    world.await_drained()
    assert outcomes(world, "acme", HOUR) == {"opened"}

    world.set_clock(hours=4)
    erase(world, "c1", HOUR, HOUR)
    receipt = await_receipt(world, "c1")
    assert "erased" in values(receipt), receipt
    assert outcomes(world, "acme", HOUR) == {"erased"} and outcomes(world, "acme", HOUR + 1) == {"opened"}
    states = {row.state for slot, row in world.keys().rows().items() if slot.hour == HOUR}
    assert states == {ERASED}
    assert sealer.is_ready() and eraser.is_ready()
    sealer.stop()
    eraser.stop()


def test_a_sealers_user_that_should_execute_too_says_what_it_lacks(world):
    """`control.execute` stands at true: the process may not pretend to be able to forget."""
    world.feed_some(events(b"acme", HOUR), 10)
    worker = world.worker("both", ready=False, settings=as_user(world, "sealer"))
    erase(world, "c1", HOUR - 50 * 24, HOUR - 50 * 24)

    def complains() -> str | None:
        if not worker.alive:
            assert worker.exit_code == 78, worker.tail()
            return worker.tail()
        return worker.why_not_ready()

    def names_the_right() -> str | None:
        said = complains() or ""
        return said if "MODIFY" in said or "nauthorized" in said or "permission" in said else None

    print("it says:", wait_until(names_the_right, 60, "it says which right it lacks"))
    assert not world.receipt_bodies(), "it wrote a receipt for what it could not do"
    worker.kill()


def test_a_wrong_password_is_refused_and_not_told(world):
    file = world.folder / "wrong"
    file.write_text("wrong-9a3e\n")
    settings = {"store": {"user": "cassandra", "password_file": str(file)}}
    said = world.cli("run", code=78, errors=True, settings=settings)
    assert "wrong-9a3e" not in said and "wrong-9a3e" not in (world.folder / "cli.log").read_text()
