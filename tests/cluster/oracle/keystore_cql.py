"""Reads the key store of a fleet as schemas/keystore.cql says. What the statements run on is the caller's."""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from pathlib import Path

from .keystore import ERASED, ERASED_BY_TTL, FENCED, LIVE, KeyRow, KeyStore, Slot

GATE = -1
OPEN = 1
WRAPPED_BYTES = 74

# A statement and its values in, rows out.
Query = Callable[..., Iterable[tuple]]


class CqlKeyStore(KeyStore):
    def __init__(self, query: Query, vault: Path, root_key_file: Path):
        super().__init__(vault, root_key_file)
        self._query = query

    def read_rows(self) -> list[KeyRow]:
        names = self._names()
        columns = '"token", day, hour, generation, state, key_id, commitment, kek, wrapped, minted_at'
        rows = []
        for token, day, hour, generation, *rest in self._query(f"SELECT {columns} FROM key"):
            assert day == hour // 24, f"hour {hour} lies in day {day}"
            if generation != GATE:
                rows.append(KeyRow(Slot(names[token], hour, generation), *rest))
        for row in rows:
            _check_key(row)
        return rows

    def gates(self) -> dict[tuple[bytes, int], dict]:
        names = self._names()
        columns = '"token", hour, generation, state, due, kek, key_id, wrapped'
        gates = {}
        for token, hour, generation, state, due, kek, key_id, wrapped in self._query(f"SELECT {columns} FROM key"):
            if generation == GATE:
                place = f"the gate of hour {hour}"
                assert state in (OPEN, FENCED) and due > hour, f"{place}: state {state}, due {due}"
                assert key_id is None and wrapped is None, f"{place} has cells of a key"
                gates[names[token], hour] = {"due": due, "kek": kek, "state": state}
        return gates

    def customers(self) -> set[bytes]:
        return set(self._names().values())

    def meta(self, name: str) -> bytes:
        ((value,),) = self._query("SELECT value FROM meta WHERE part = 'store' AND name = %s", (name,))
        return value

    def check_value(self, kek_id: str) -> bytes:
        ((value,),) = self._query("SELECT check_value FROM kek WHERE id = %s", (kek_id,))
        return value

    def due_rows(self) -> set[tuple[bytes, int, int]]:
        """Customer, hour and due of every hour that the sweep would meet."""
        names = self._names()
        found = set()
        for due_day, shard, due, token, hour in self._query('SELECT due_day, shard, due, "token", hour FROM due'):
            assert (due_day, shard) == (due // 24, token[0] & 15), f"hour {hour} is listed in a wrong place"
            found.add((names[token], hour, due))
        return found

    def days(self) -> set[tuple[bytes, int]]:
        """In which days a customer has hours: what makes every key listed."""
        found = self._query("SELECT day, name FROM customer")
        return {(name, day) for day, name in found if day is not None}

    def _names(self) -> dict[bytes, bytes]:
        """By token; a name whose token is another's fails here."""
        token_key = self.meta("token_key")
        names = {}
        for token, name in self._query('SELECT DISTINCT "token", name FROM customer'):
            assert token == hmac.digest(token_key, b"hourseal/1 token" + name, hashlib.sha256)[:16], "a token lies"
            names[token] = name
        return names


def _check_key(row: KeyRow):
    """The state and the secret say the same."""
    lengths = {LIVE: WRAPPED_BYTES, ERASED: 0, ERASED_BY_TTL: 0}
    assert row.state in lengths, f"{row.slot}: state {row.state}"
    found = None if row.wrapped is None else len(row.wrapped)
    assert found == lengths[row.state], f"{row.slot}: state {row.state} and {found} bytes of a wrapped key"
