"""Keys in the memory of a worker, looked for from outside: where they lie, who may look, and that eviction leaves none."""

import hashlib
import hmac
import os
import struct
import subprocess
import sys
from itertools import islice

import pytest
from children import wait_until
from erasures import DUE_SOON, await_receipt, erase, events
from memory import (
    CAP_IPC_LOCK,
    CAP_SYS_PTRACE,
    Hit,
    Secret,
    denying_dumpable,
    find,
    limits,
    locking_at_most,
    mappings,
    without,
)
from oracle.events import HOUR_MS, now_ms
from oracle.keystore import Slot
from topics import COMMITTED
from world import TESTKIT, Worker, World

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root reads what is in an undumpable process")

HOUR = now_ms() // HOUR_MS - 1
CUSTOMERS = [b"acme", *(b"kept-%d" % number for number in range(9))]
# Its clock leaps: pre-minting would take the kept keys for spent ones.


@pytest.fixture
def world(kafka, make_world) -> World:
    world = make_world(kafka, binary=TESTKIT, settings=DUE_SOON)
    world.set_clock(hours=0)
    return world


@pytest.fixture
def sealing_world(world) -> World:
    """Half of the customers were met by a worker that is gone: their keys are adopted, the others' are minted."""
    streams = {(customer, hour): events(customer, hour) for customer in CUSTOMERS for hour in (HOUR, HOUR + 1)}
    feed(world, streams, CUSTOMERS[::2])
    worker = world.worker()
    world.await_drained()
    worker.stop()
    feed(world, streams, CUSTOMERS)
    return world


def feed(world: World, streams: dict, customers: list[bytes]):
    chosen = [stream for (customer, _), stream in streams.items() if customer in customers]
    world.feed(event for stream in chosen for event in islice(stream, 10))


def seal_keys(world: World) -> list[Secret]:
    keys = world.keys()
    return [Secret("seal key", slot.customer, keys.key(slot).seal_key) for slot in keys.rows()]


def never_kept(world: World) -> list[Secret]:
    """What a worker needs for a moment only: DEKs, what HKDF extracts from them, and the subkey of each record."""
    keys = world.keys()
    found = []
    for slot in keys.rows():
        dek = keys.dek(slot)
        found.append(Secret("DEK", slot.customer, dek))
        found.append(Secret("extracted key", slot.customer, hmac.digest(bytes(32), dek, hashlib.sha256)))
    for record in world.topics.read(world.output, COMMITTED):
        sealed = record.value()
        generation, hour = struct.unpack_from(">HI", sealed, 2)
        key = keys.key(Slot(record.key(), hour, generation)).seal_key
        found.append(Secret("subkey", record.key(), hchacha20(key, sealed[24:40])))
    return found


def keys_above(world: World) -> list[Secret]:
    keys = world.keys()
    keks = {row.kek for row in keys.rows().values()}
    return [Secret("root key", b"", keys.root_key), *(Secret("KEK", kek.encode(), keys.kek(kek)) for kek in keks)]


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """draft-irtf-cfrg-xchacha-03 §2.2; 16 bytes of nonce."""
    state = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))

    def quarter(a, b, c, d):
        for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[x] = (state[x] + state[y]) & 0xFFFFFFFF
            mixed = state[z] ^ state[x]
            state[z] = (mixed << turn | mixed >> 32 - turn) & 0xFFFFFFFF

    for _ in range(10):
        for column in range(4):
            quarter(column, 4 + column, 8 + column, 12 + column)
        for turn in range(4):
            quarter(turn, 4 + (turn + 1) % 4, 8 + (turn + 2) % 4, 12 + (turn + 3) % 4)
    return struct.pack("<8I", *state[:4], *state[12:])


def test_the_subkeys_looked_for_are_the_drafts():
    key = bytes(range(32))
    nonce = bytes.fromhex("000000090000004a0000000031415927")
    expected = "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    assert hchacha20(key, nonce).hex() == expected


def whole(hits: list[Hit]) -> set[tuple[Secret, int]]:
    """Secrets of which all quarters were found, one after the other, with where they begin."""
    places = {(hit.secret, hit.address) for hit in hits}
    rests = {place: [(place[0], place[1] + step) for step in (8, 16, 24)] for place in places}
    return {place for place, rest in rests.items() if places.issuperset(rest)}


def settled(world: World, **how) -> Worker:
    worker = world.worker(lanes=2, **how)
    world.await_drained()
    # The lanes have let go of the batch, and the figures are a second old at most.
    wait_until(lambda: worker.figures().sum("key_cache_entries") == len(world.keys().rows()), 10, "every key is cached")
    return worker


def test_an_evicted_key_is_nowhere_and_a_kept_one_in_its_locked_cell_only(sealing_world):
    world = sealing_world
    worker = settled(world)
    for op in ("adopt", "mint"):
        assert worker.figures().sum("key_operations_total", op=op, outcome="ok") >= len(CUSTOMERS), op
    sealing, passing, above = seal_keys(world), never_kept(world), keys_above(world)
    assert {secret.whose for secret in sealing} == set(CUSTOMERS) and len(sealing) >= 2 * len(CUSTOMERS)

    hits = find(worker.pid, sealing + above)
    assert not [str(hit) for hit in hits if not {"lo", "dd"} <= hit.mapping.flags], "outside of the slabs"
    once = sorted(secret for secret, _ in whole(hits))
    assert once == sorted(sealing + above) and len(hits) == 4 * len(once), "each is there, and there is no second copy"
    digits = [Secret("root key in hex", b"", secret.bytes.hex().encode()) for secret in above if not secret.whose]
    assert not [str(hit) for hit in find(worker.pid, passing + digits)], "what is needed for a moment has stayed"
    ordinary = find(worker.pid, [Secret("token key", b"", world.keys().meta("token_key"))])
    assert any("lo" not in hit.mapping.flags for hit in ordinary), "the control: what is in ordinary memory is found"

    world.set_clock(hours=4)
    erase(world, "c1", HOUR, HOUR + 1)
    assert "erased" in str(await_receipt(world, "c1"))
    wait_until(lambda: worker.figures().sum("erasure_propagation_seconds_count") >= 1, 20, "the receipt is applied")
    erased = [secret for secret in sealing if secret.whose == b"acme"]
    kept = [secret for secret in sealing if secret.whose != b"acme"]
    hits = find(worker.pid, sealing + passing)
    assert erased and not [str(hit) for hit in hits if hit.secret.whose == b"acme"], "an erased key is still in memory"
    assert {hit.secret for hit in hits} == set(kept)
    assert sorted(secret for secret, _ in whole(hits)) == sorted(kept)
    worker.stop()


def test_a_worker_has_slabs_between_guards_no_core_file_and_no_spectator(sealing_world):
    world = sealing_world
    confined = without(CAP_IPC_LOCK, CAP_SYS_PTRACE)
    worker = settled(world, before=confined)
    assert limits(worker.pid, "Max core file size") == ("0", "0")
    assert not can_look_into(worker.pid, confined), "a debugger of the same user may look into it"
    all_of_it = mappings(worker.pid)
    slabs = [at for at, mapping in enumerate(all_of_it) if {"lo", "dd"} <= mapping.flags]
    assert slabs
    for at in slabs:
        below, slab, above = all_of_it[at - 1 : at + 2]
        assert (below.access, below.end, above.access, above.begin) == ("---p", slab.begin, "---p", slab.end)
    figures = worker.figures()
    size = sum(all_of_it[at].end - all_of_it[at].begin for at in slabs)
    assert figures.sum("key_memory_bytes", state="locked") == size
    assert figures.sum("key_memory_bytes", state="unlocked") == 0
    assert "HS1008" not in worker.text() and "HS1010" not in worker.text()
    worker.stop()

    # The control: whoever is allowed to look can, and the log says so.
    worker = world.worker(settings={"process": {"dumpable": True}}, before=confined)
    assert can_look_into(worker.pid, confined)
    assert worker.text().count("HS1010") == 1
    worker.stop()


def can_look_into(pid: int, before) -> bool:
    """Whether another process of the same user and with the same rights can open its memory."""
    script = f"open('/proc/{pid}/mem', 'rb')"
    done = subprocess.run([sys.executable, "-c", script], preexec_fn=before, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 or "PermissionError" in done.stderr, done.stderr
    return done.returncode == 0


def test_without_the_right_to_lock_it_seals_warns_once_and_the_gauge_tells(sealing_world):
    world = sealing_world
    worker = settled(world, before=locking_at_most(0))
    hits = find(worker.pid, seal_keys(world))
    assert len(whole(hits)) == len(world.keys().rows())
    for hit in hits:
        assert "dd" in hit.mapping.flags and "lo" not in hit.mapping.flags, str(hit)
    world.feed(list(islice(events(b"one more", HOUR + 1), 10)))
    world.await_drained()
    wait_until(lambda: worker.figures().sum("key_cache_entries") == len(world.keys().rows()), 10, "the newcomer's key")
    figures = worker.figures()
    assert figures.sum("key_memory_bytes", state="locked") == 0
    assert figures.sum("key_memory_bytes", state="unlocked") >= 65536
    warnings = [line for line in worker.text().splitlines() if "HS1008" in line]
    assert len(warnings) == 1 and "LimitMEMLOCK" in warnings[0] and "ulimit -l" in warnings[0], warnings
    world.findings().assert_exactly_once()
    worker.stop()


def test_a_refused_protection_is_explained_and_keeps_nobody_from_sealing(world):
    world.feed_some(events(b"acme", HOUR + 1), 5)
    worker = world.worker(before=denying_dumpable)
    world.await_drained()
    (warning,) = [line for line in worker.text().splitlines() if "HS1010" in line]
    assert "PR_SET_DUMPABLE" in warning and "seccomp" in warning and "can read keys" in warning, warning
    assert limits(worker.pid, "Max core file size") == ("0", "0")
    worker.stop()

    config = world.config("cli")
    for words in ("keys ls", "open --from-beginning", "quarantine ls"):
        assert "warning: the system refused PR_SET_DUMPABLE" in complaints(world, *words.split(), "--config", config)
    assert "warning: the system refused PR_SET_DUMPABLE" in complaints(world, "demo", "--events", "20")
    assert not complaints(world, "config", "show", "--config", config), "it reads no key"


def complaints(world: World, *arguments) -> str:
    """What a command says on stderr that is denied the same."""
    command = [world.binary, *arguments]
    done = subprocess.run(command, preexec_fn=denying_dumpable, capture_output=True, cwd=world.folder, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stderr.decode()
