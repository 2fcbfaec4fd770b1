"""What a receipt calls erased is gone: for every reader, in every process, and from a store that was put back as it was before."""

import os
import shutil
from itertools import islice

import pytest
from children import wait_until
from erasures import DUE_SOON, await_receipt, erase, events, outcomes
from groups import assignment
from memory import Secret, find
from oracle.events import HOUR_MS, now_ms
from oracle.keystore import ERASED
from servers import Cassandra
from stores import Keyspace
from world import LONG, TESTKIT, World

HOUR = now_ms() // HOUR_MS - 1
RECORDS = 10_000


def begin(kafka, make_world, store=None) -> World:
    world = make_world(kafka, store=store, binary=TESTKIT, settings=DUE_SOON)
    world.set_clock(hours=0)
    return world


def feed(world: World, records: int):
    for customer in (b"acme", b"bravo"):
        world.feed(islice(events(customer, HOUR), records))
    world.await_drained(120)


def tally(world: World) -> dict[tuple[str, str], int]:
    """Records by customer and outcome."""
    found: dict[tuple[str, str], int] = {}
    for line in world.opened():
        place = (line["customer"], line["outcome"])
        found[place] = found.get(place, 0) + 1
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads what is in an undumpable process")
# In a run of minutes on a server: keys/test_memory looks through processes whose keys are in a file.
@pytest.mark.parametrize("store", ["file", "cql", "quorum"] if LONG else ["cql"], indirect=True)
def test_none_of_ten_thousand_records_opens_and_no_process_has_the_key(kafka, store, make_world):
    world = begin(kafka, make_world, store)
    workers = [world.worker("w0"), world.worker("w1")]
    held = lambda: [len(places) for _, places in assignment(world).values()]  # noqa: E731
    wait_until(lambda: held() == [4, 4], 40, "each has its half of the partitions")
    feed(world, RECORDS)
    keys = world.keys()
    slots = {customer: [slot for slot in keys.rows() if slot.customer == customer] for customer in (b"acme", b"bravo")}
    secrets = [
        secret
        for customer, all_slots in slots.items()
        for slot in all_slots
        for secret in (Secret("seal key", customer, keys.key(slot).seal_key), Secret("DEK", customer, keys.dek(slot)))
    ]
    whose = lambda worker: {hit.secret.whose for hit in find(worker.pid, secrets)}  # noqa: E731
    # Each of them has sealed under both.
    for worker in workers:
        wait_until(lambda: whose(worker) == {b"acme", b"bravo"}, 30, "the control: a key in use is found", alive=worker)
    assert tally(world) == {("acme", "opened"): RECORDS, ("bravo", "opened"): RECORDS}
    wrapped = [row.wrapped for slot, row in keys.rows().items() if slot.customer == b"acme"]
    in_files = lambda: isinstance(world.store, Keyspace) or any(  # noqa: E731
        secret in file.read_bytes() for secret in wrapped for file in world.store.path.parent.iterdir()
    )
    assert wrapped and all(len(secret) == 74 for secret in wrapped) and in_files(), "the control: it is there"

    world.set_clock(hours=4)
    erase(world, "c1", HOUR, HOUR)
    receipt = await_receipt(world, "c1")
    assert (receipt["outcome"], receipt["key_count"]) == ("erased", len(slots[b"acme"]))
    for worker in workers:
        wait_until(lambda: worker.figures().sum("erasure_propagation_seconds_count") == 1, 20, "it has read the receipt")
        assert whose(worker) == {b"bravo"}, "a process still has an erased key"
    assert tally(world) == {("acme", "erased"): RECORDS, ("bravo", "opened"): RECORDS}
    assert {line["receipt"] for line in world.opened() if line["customer"] == "acme"} == {receipt["id"]}
    # What another client in another language reads from the store itself.
    rows = {row.slot: row for row in world.keys().read_rows()}
    assert all((rows[slot].state, rows[slot].wrapped) == (ERASED, b"") for slot in slots[b"acme"])
    assert isinstance(world.store, Keyspace) or not in_files()
    for worker in workers:
        worker.stop()


def put_back(server: Cassandra, world: World, tag: str):
    """As its manual says: empty tables, the snapshot's files in their folders, `nodetool refresh`."""
    for node in server.nodes:
        snapshots = [folder for folder in server.disk(node).rglob(f"snapshots/{tag}") if world.store.name in folder.parts]
        assert snapshots
        # Most tables were empty, and have been empty since.
        for snapshot in [folder for folder in snapshots if any(folder.glob("*.db"))]:
            folder = snapshot.parents[1]
            table = folder.name.rsplit("-", 1)[0]
            if node == 1:
                world.store.cql()(f"TRUNCATE {world.store.name}.{table}")
            files = [file for file in snapshot.iterdir() if file.suffix in (".db", ".crc32", ".txt")]
            for file in files:
                shutil.copy(file, folder)
            if files:  # of a table that had rows
                server.tool("refresh", world.store.name, table, node=node)


@pytest.mark.parametrize("store", ["cql", "quorum"] if LONG else ["cql"], indirect=True)
def test_a_servers_own_snapshot_put_back_serves_nothing_that_was_erased(kafka, store, make_world):
    server = store
    world = begin(kafka, make_world, server)
    worker = world.worker()
    feed(world, 20)
    worker.stop()
    for node in server.nodes:
        server.tool("flush", world.store.name, node=node)
        server.tool("snapshot", "-t", "before", world.store.name, node=node)
    world.set_clock(hours=4)
    worker = world.worker()
    erase(world, "c1", HOUR, HOUR)
    assert await_receipt(world, "c1")["outcome"] == "erased"
    worker.stop()
    assert outcomes(world, "acme", HOUR) == {"erased"}

    put_back(server, world, "before")
    world.refused()
    with world.unguarded():
        assert outcomes(world, "acme", HOUR) == {"opened"}, "the control: put back, and nobody looks, it opens"

    worker = world.worker()
    assert outcomes(world, "acme", HOUR) == {"erased"} and outcomes(world, "bravo", HOUR) == {"opened"}
    worker.stop()
    assert len([receipt for receipt in world.receipt_bodies() if receipt["command"] == "c1"]) == 1
