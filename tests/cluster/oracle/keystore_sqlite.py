"""Reads the embedded key store as schemas/keystore.sql says."""

import sqlite3
from contextlib import closing
from pathlib import Path

from .keystore import KeyRow, KeyStore, Slot


class SqliteKeyStore(KeyStore):
    def __init__(self, store: Path, vault: Path, root_key_file: Path):
        super().__init__(vault, root_key_file)
        self.store = store

    def read_rows(self) -> list[KeyRow]:
        with closing(self._connect()) as db:
            names = dict(db.execute("SELECT token, name FROM customer"))
            columns = "token, hour, generation, state, key_id, commitment, kek, wrapped, minted_at"
            found = db.execute(f"SELECT {columns} FROM key").fetchall()
        return [KeyRow(Slot(bytes(names[token]), hour, generation), *rest) for token, hour, generation, *rest in found]

    def gates(self) -> dict[tuple[bytes, int], dict]:
        with closing(self._connect()) as db:
            names = dict(db.execute("SELECT token, name FROM customer"))
            found = db.execute("SELECT token, hour, due, kek, state FROM gate").fetchall()
        return {(bytes(names[t]), hour): {"due": due, "kek": kek, "state": state} for t, hour, due, kek, state in found}

    def customers(self) -> set[bytes]:
        with closing(self._connect()) as db:
            return {bytes(name) for (name,) in db.execute("SELECT name FROM customer")}

    def meta(self, name: str) -> bytes:
        with closing(self._connect()) as db:
            (value,) = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return bytes(value)

    def check_value(self, kek_id: str) -> bytes:
        with closing(self._connect()) as db:
            (value,) = db.execute("SELECT check_value FROM kek WHERE id = ?", (kek_id,)).fetchone()
        return value

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=10)
        db.execute("PRAGMA query_only = ON")
        return db
