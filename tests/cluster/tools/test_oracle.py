"""Is the oracle right? It opens the published vectors, opens what a second sealer made, and notices each fault."""

import hmac
import json
import random
import sqlite3
import struct
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt
from oracle.compare import compare
from oracle.envelope import HOUR_MS, Unopened, derive, hkdf, open_envelope, short
from oracle.events import Event, Ledger, job_events, raw_events
from oracle.keystore import NotUnwrapped, Slot, unwrap_dek
from oracle.keystore_sqlite import SqliteKeyStore
from world import ROOT

VECTORS = sorted((ROOT / "tests" / "vectors" / "envelope").glob("*.json"))
SCHEMA = ROOT / "schemas" / "keystore.sql"
# Whose a record is, the oracle is told: records as a whole are for the readers of schemas/readers.
ENVELOPES = [file for file in VECTORS if not file.stem.startswith(("wrapped_", "record_"))]
WRAPPED = [file for file in VECTORS if file.stem.startswith("wrapped_")]
STREAM = b"jobs"


def seal(event: Event, dek: bytes, generation: int = 0, stream: bytes = STREAM, nonce: bytes = bytes(24)) -> bytes:
    """A second writer of the format, as plain as can be."""
    hour, milliseconds = divmod(event.time_ms, HOUR_MS)
    flags, body = 0, b""
    if event.key is not None:
        flags |= 1
        body += struct.pack(">I", len(event.key)) + event.key
    if event.headers:
        flags |= 2
        body += struct.pack(">H", len(event.headers))
        for name, value in event.headers:
            body += short(name) + (b"\xff" * 4 if value is None else struct.pack(">I", len(value)) + value)
    if event.payload is None:
        flags |= 4
    frame = bytes([flags]) + milliseconds.to_bytes(3, "big") + body + (event.payload or b"")
    key = derive(dek, event.customer, hour, generation)
    head = b"\xe9\x01" + struct.pack(">HI", generation, hour) + key.commitment[:16] + nonce
    aad = head + short(event.customer) + short(stream)
    return head + crypto_aead_xchacha20poly1305_ietf_encrypt(frame, aad, nonce, key.seal_key)


class Record:
    """What compare() asks of a Kafka message."""

    def __init__(self, event: Event, offset: int, partition: int = 0, generation: int = 0, dek: bytes = bytes(32)):
        self._event, self._offset, self._partition = event, offset, partition
        self._value = seal(event, dek, generation)

    def topic(self):
        return "t"

    def partition(self):
        return self._partition

    def offset(self):
        return self._offset

    def key(self):
        return self._event.customer

    def value(self):
        return self._value

    def timestamp(self):
        return 1, self._event.time_ms


class OneDek:
    """A key store in which every slot has the same DEK."""

    def key(self, slot: Slot):
        return derive(bytes(32), *slot)


def sample(count: int) -> list[Event]:
    events = job_events(random.Random(1), customers=20)
    return [next(events) for _ in range(count)]


def in_one_partition(events) -> Ledger:
    ledger = Ledger()
    for event in events:
        ledger.put(0, event)
    return ledger


def check(events, records):
    return compare(in_one_partition(events), records, OneDek())


def test_hkdf_agrees_with_rfc_5869_case_3():
    okm = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    assert hkdf(b"\x0b" * 22, b"", 42).hex() == okm


def test_there_are_vectors_of_both_kinds():
    assert ENVELOPES and WRAPPED


def unhex(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


@pytest.mark.parametrize("file", ENVELOPES, ids=lambda file: file.stem)
def test_an_envelope_ends_as_its_vector_says(file):
    vector = json.loads(file.read_text())
    names = [vector["customer"].encode(), vector["stream"].encode()]
    arguments = [unhex(vector["envelope"]), *names, unhex(vector["dek"]), unhex(vector["commitment"])]
    if vector["expect"] != "opened":
        with pytest.raises(Unopened) as refusal:
            open_envelope(*arguments)
        assert refusal.value.outcome == vector["expect"]
        return
    head, frame = open_envelope(*arguments)
    found = (head.hour, head.generation, frame.milliseconds, frame.key, frame.payload)
    expected = [vector["hour"], vector["generation"], vector["milliseconds"]]
    assert found == (*expected, unhex(vector["key"]), unhex(vector["payload"]))
    assert [list(header) for header in frame.headers] == [[unhex(part) for part in pair] for pair in vector["headers"]]


@pytest.mark.parametrize("file", WRAPPED, ids=lambda file: file.stem)
def test_a_wrapped_key_ends_as_its_vector_says(file):
    vector = json.loads(file.read_text())
    slot = Slot(vector["customer"].encode(), vector["hour"], vector["generation"])
    arguments = [unhex(vector["kek"]), vector["kek_id"], slot, unhex(vector["commitment"]), unhex(vector["wrapped"])]
    if vector["expect"] == "unwrapped":
        assert unwrap_dek(*arguments) == unhex(vector["dek"])
        return
    with pytest.raises(NotUnwrapped) as refusal:
        unwrap_dek(*arguments)
    assert str(refusal.value) == vector["expect"]


def test_what_a_second_writer_seals_is_opened():
    rng = random.Random(2)
    events = sample(300) + list(islice(raw_events(rng), 300))
    for event in events:
        dek, generation = rng.randbytes(32), rng.choice([0, 1, 65_535])
        envelope = seal(event, dek, generation, nonce=rng.randbytes(24))
        hour = event.time_ms // HOUR_MS
        commitment = derive(dek, event.customer, hour, generation).commitment
        head, frame = open_envelope(envelope, event.customer, STREAM, dek, commitment)
        time_ms = head.hour * HOUR_MS + frame.milliseconds
        assert Event(event.customer, time_ms, frame.key, frame.headers, frame.payload) == event


def test_no_changed_byte_goes_unnoticed():
    (event,) = sample(1)
    dek = bytes(32)
    envelope = seal(event, dek)
    commitment = derive(dek, event.customer, event.time_ms // HOUR_MS, 0).commitment
    for at in range(len(envelope)):
        changed = envelope[:at] + bytes([envelope[at] ^ 1]) + envelope[at + 1 :]
        with pytest.raises(Unopened):
            open_envelope(changed, event.customer, STREAM, dek, commitment)


def wrapped(secret: bytes, key: bytes, aad: bytes, nonce: bytes = bytes(24)) -> bytes:
    return b"\x01\x01" + nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(secret, aad, nonce, key)


def make_store_and_vault(folder: Path, slot: Slot, dek: bytes) -> SqliteKeyStore:
    """A store with one key and a vault with one KEK, made by hand from the schemas."""
    root, kek, token_key = (bytes([number] * 32) for number in (1, 2, 3))
    vault_id, kek_id = bytes(16), "day/2026-12-24"
    name, customer = short(kek_id.encode()), slot.customer
    (folder / "kek" / "day").mkdir(parents=True)
    (folder / "root.key").write_text(f"hourseal-root-1 {root.hex()}\n")
    (folder / "kek" / "vault").write_text(vault_id.hex() + "\n")
    sealed = wrapped(kek, hkdf(root, b"hourseal/1 root" + name, 32), b"hourseal/1 kek" + vault_id + name)
    (folder / "kek" / f"{kek_id}.kek").write_bytes(sealed)

    commitment = derive(dek, *slot).commitment
    place = short(customer) + struct.pack(">IH", slot.hour, slot.generation)
    secret = wrapped(dek, hkdf(kek, b"hourseal/1 wrap" + name, 32), b"hourseal/1 wrap" + place + commitment)
    token = hmac.digest(token_key, b"hourseal/1 token" + customer, "sha256")[:16]
    row = (token, slot.hour, slot.generation, 1, commitment[:16], commitment, kek_id, secret, 0, None, None)
    with closing(sqlite3.connect(folder / "keys.db", isolation_level=None)) as db:
        db.executescript(SCHEMA.read_text())
        db.executemany("INSERT INTO meta VALUES (?, ?)", [("vault_id", vault_id), ("token_key", token_key)])
        db.execute("INSERT INTO customer (token, name) VALUES (?, ?)", (token, customer))
        db.execute("INSERT INTO kek VALUES (?, ?, 1)", (kek_id, hkdf(kek, b"hourseal/1 check" + name, 16)))
        db.execute(f"INSERT INTO key VALUES ({','.join('?' * 11)})", row)
    return SqliteKeyStore(folder / "keys.db", folder / "kek", folder / "root.key")


def test_a_store_and_a_vault_made_by_hand_are_read(tmp_path):
    slot, dek = Slot("größe".encode(), 498_745, 3), bytes(range(32))
    keys = make_store_and_vault(tmp_path, slot, dek)
    assert keys.key(slot) == derive(dek, *slot)
    assert list(keys.rows()) == [slot]
    with closing(sqlite3.connect(keys.store)) as db:
        assert db.execute("SELECT token FROM customer").fetchone() == (keys.token(slot.customer),)


def test_what_is_whole_passes():
    events = sample(100)
    check(events, [Record(event, offset) for offset, event in enumerate(events)]).assert_exactly_once()


def test_a_lost_event_is_noticed():
    events = sample(100)
    assert check(events, [Record(event, offset) for offset, event in enumerate(events[1:])]).lost == 1


def test_a_doubled_event_is_noticed():
    events = sample(100)
    findings = check(events, [Record(event, offset) for offset, event in enumerate(events + events[:1])])
    assert (findings.doubled, findings.reordered) == (1, 0)


def test_two_events_that_changed_places_are_noticed():
    events = sample(100)
    swapped = [*events[:50], events[51], events[50], *events[52:]]
    assert check(events, [Record(event, offset) for offset, event in enumerate(swapped)]).reordered == 1


def test_events_in_different_output_partitions_have_no_order():
    events = sample(2)
    records = [Record(events[1], 0, partition=0), Record(events[0], 0, partition=1)]
    check(events, records).assert_exactly_once()


def test_a_changed_event_is_noticed():
    events = sample(100)
    altered = [events[0]._replace(payload=events[0].payload + b" "), *events[1:]]
    findings = check(events, [Record(event, offset) for offset, event in enumerate(altered)])
    assert (findings.lost, len(findings.alien)) == (1, 1)


def test_an_event_in_another_hour_is_noticed():
    events = sample(2)
    moved = [events[0]._replace(time_ms=events[0].time_ms - HOUR_MS), events[1]]
    findings = check(events, [Record(event, offset) for offset, event in enumerate(moved)])
    assert (findings.lost, len(findings.alien)) == (1, 1)


def test_a_second_key_in_a_slot_is_noticed():
    events = sample(2)
    records = [Record(events[0], 0), Record(events[1], 1, dek=b"\x01" * 32)]
    assert len(check(events, records).unopened) == 1
