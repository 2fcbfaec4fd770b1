"""Is the oracle's reader of schemas/keystore.cql right? It reads tables made by hand, and meets each contradiction."""

import hmac
import re

import pytest
from oracle.keystore import ERASED, LIVE, Slot
from oracle.keystore_cql import CqlKeyStore

TOKEN_KEY, NAME, HOUR = bytes(range(32)), "größe".encode(), 498_745
TOKEN = hmac.digest(TOKEN_KEY, b"hourseal/1 token" + NAME, "sha256")[:16]
COMMITMENT = bytes(range(32, 64))
KEK = "day/2026-12-24"


def tables() -> dict[str, list[dict]]:
    """One customer with one hour and one key."""
    place = {"token": TOKEN, "day": HOUR // 24, "hour": HOUR}
    key = {"key_id": COMMITMENT[:16], "commitment": COMMITMENT, "kek": KEK, "wrapped": bytes(74), "minted_at": 1}
    due = HOUR + 25
    return {
        "meta": [{"part": "store", "name": "token_key", "value": TOKEN_KEY}],
        "customer": [{"token": TOKEN, "day": HOUR // 24, "name": NAME}],
        "key": [
            {**place, "generation": -1, "state": 1, "due": due, "kek": KEK},
            {**place, "generation": 2, "state": LIVE, **key},
        ],
        "due": [{"due_day": due // 24, "shard": TOKEN[0] & 15, "due": due, "token": TOKEN, "hour": HOUR}],
    }


@pytest.fixture
def root(tmp_path):
    file = tmp_path / "root.key"
    file.write_text(f"hourseal-root-1 {bytes(32).hex()}\n")
    return file


def reader(root, of: dict) -> CqlKeyStore:
    def query(statement: str, values: tuple = ()) -> list[tuple]:
        columns, table = re.fullmatch(r"SELECT (?:DISTINCT )?(.+) FROM (\w+)(?: WHERE .*)?", statement).groups()
        names = [name.strip('"') for name in columns.split(", ")]
        return [tuple(row.get(name) for name in names) for row in of[table] if set(values) <= set(row.values())]

    return CqlKeyStore(query, root.parent, root)


def test_tables_made_by_hand_are_read(root):
    keys = reader(root, tables())
    assert keys.token(NAME) == TOKEN and keys.customers() == {NAME}
    (row,) = keys.rows().values()
    assert (row.slot, row.key_id, row.kek) == (Slot(NAME, HOUR, 2), COMMITMENT[:16], KEK)
    assert keys.gates() == {(NAME, HOUR): {"due": HOUR + 25, "kek": KEK, "state": 1}}
    assert keys.due_rows() == {(NAME, HOUR, HOUR + 25)} and keys.days() == {(NAME, HOUR // 24)}


@pytest.mark.parametrize(
    "change",
    [
        {"key_id": bytes(16)},
        {"day": 1},
        {"state": 9},
        {"state": LIVE, "wrapped": b""},
        {"state": LIVE, "wrapped": None},
        {"state": ERASED},
        {"token": bytes(16)},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_key_that_contradicts_itself_is_noticed(root, change):
    changed = tables()
    changed["key"][1] |= change
    with pytest.raises((AssertionError, KeyError)):
        reader(root, changed).rows()


@pytest.mark.parametrize("change", [{"due": HOUR}, {"state": 3}, {"wrapped": bytes(74)}], ids=lambda it: "-".join(it))
def test_a_gate_that_contradicts_itself_is_noticed(root, change):
    changed = tables()
    changed["key"][0] |= change
    with pytest.raises(AssertionError):
        reader(root, changed).gates()


def test_a_name_under_another_token_is_noticed(root):
    changed = tables()
    changed["customer"][0]["name"] = b"other"
    with pytest.raises(AssertionError):
        reader(root, changed).customers()
