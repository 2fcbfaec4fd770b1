"""The key store's own copies of erased keys: in the servers' files until they are purged, and then nowhere. Raw bytes are looked for."""

import json
import re
from itertools import islice

import pytest
from cql import await_whole
from erasures import DUE_SOON, await_receipt, erase, events
from oracle.events import HOUR_MS, now_ms
from servers import Cassandra
from world import LONG, ROOT, TESTKIT, World

HOUR = now_ms() // HOUR_MS - 1


@pytest.fixture(params=[1, 3] if LONG else [1])
def server(request):
    """Of its own, for its nodes are stopped and their files are read: one with Paxos v1, or three with v2."""
    with Cassandra(request.param, settings=Cassandra.PAXOS_V1 if request.param == 1 else None) as server:
        yield server


def sealed(kafka, make_world, store=None) -> World:
    world = make_world(kafka, store=store, binary=TESTKIT, settings=DUE_SOON)
    world.set_clock(hours=0)
    for customer in (b"acme", b"bravo"):
        world.feed(islice(events(customer, HOUR), 20))
    return world


def wrapped_of(world: World, customer: bytes) -> list[bytes]:
    """From the nonce to the tag, without what all of them begin with."""
    found = [row.wrapped[4:] for slot, row in world.keys().rows().items() if slot.customer == customer]
    assert found and all(len(wrapped) == 70 for wrapped in found)
    return found


def files_with(server: Cassandra, node: int, secrets: list[bytes]) -> dict[str, int]:
    """How many of them are in which of the node's folders: data of the keyspace, of Paxos, commit log, hints, all."""
    folders, root = {}, server.folder / str(node)
    for file in root.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            for secret in secrets:
                # A server compresses by blocks: random bytes stay as they are, but a block may end within them.
                if secret[:24] in content or secret[-24:] in content:
                    where = file.relative_to(root).parts
                    name = next((part for part in where if part.startswith(("key-", "paxos-", "commitlog"))), "elsewhere")
                    folders[name.split("-")[0]] = folders.get(name.split("-")[0], 0) + 1
    return folders


def runbook(keyspace: str) -> list[list[str]]:
    """The commands of docs/purge.md, word by word; the restart has none."""
    (block,) = re.findall(r"```\n(nodetool.*?)```", (ROOT / "docs/purge.md").read_text(), re.DOTALL)
    lines = [line for line in block.splitlines() if not line.startswith("#")]
    return [[keyspace if word == "hourseal" else word for word in line.split()[1:]] for line in lines]


def test_erased_keys_are_in_a_servers_files_until_purged_and_then_in_none(kafka, server, make_world):
    world = sealed(kafka, make_world, server)
    worker = world.worker()
    world.await_drained()
    gone, kept = wrapped_of(world, b"acme"), wrapped_of(world, b"bravo")
    for node in server.nodes:
        server.tool("flush", node=node)
        server.tool("snapshot", "-t", "before", world.store.name, node=node)
    world.set_clock(hours=4)
    erase(world, "c1", HOUR, HOUR)
    receipt = await_receipt(world, "c1")
    assert receipt["outcome"] == "erased"
    worker.stop()
    for node in server.nodes:
        server.tool("flush", node=node)
        before = files_with(server, node, gone)
        print(f"before: {before}")
        assert before.get("key", 0) > 0 and before.get("commitlog", 0) > 0, "it is looked for where it is"

    assert "docs/purge.md" in world.cli("store", "purge", code=78, errors=True)
    flush, drain, *steps = runbook(world.store.name)
    assert drain == ["drain"]
    for node in server.nodes:
        server.tool(*flush, node=node)
        server.tool(*drain, node=node)
        server.kill(node)
        server.up(node)
        if len(server.nodes) > 1:
            await_whole(server)
        assert files_with(server, node, gone).get("key", 0) > 0, "a restart alone purges nothing"
        for step in steps:
            server.tool(*step, node=node)
    for node in server.nodes:
        assert files_with(server, node, gone) == {}, "of what was erased"
        assert files_with(server, node, kept).get("key", 0) > 0, "what is kept is still looked for where it is"


def test_a_file_is_purged_by_each_erasure(kafka, make_world):
    world = sealed(kafka, make_world)
    worker = world.worker()
    world.await_drained()
    gone = wrapped_of(world, b"acme")
    world.set_clock(hours=4)
    erase(world, "c1", HOUR, HOUR)
    await_receipt(world, "c1")
    worker.stop()
    assert json.loads(world.cli("store", "purge", "--json"))["purged"] is True
    contents = [file.read_bytes() for file in world.store.path.parent.iterdir() if file.is_file()]
    assert not any(secret in content for secret in gone for content in contents)
