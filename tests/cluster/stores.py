"""Where a world keeps its keys: in a SQLite file of its own, or in a keyspace of its own on a CQL server."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
from cql import TRANSIENT, Cql
from oracle.keystore import KeyStore
from oracle.keystore_cql import CqlKeyStore
from oracle.keystore_sqlite import SqliteKeyStore
from servers import Cassandra

# For what a store itself does: what it holds of what was erased, what fades in it, what one that is killed leaves in it.
on_each_store = pytest.mark.parametrize("store", ["file", "cql"], indirect=True)
CLOCK, STORE_CLOCK = "HOURSEAL_TESTKIT_CLOCK", "HOURSEAL_TESTKIT_STORE_CLOCK"


class SqliteFile:
    CLOCKS = (CLOCK,)

    def __init__(self, folder: Path):
        self.path = folder / "data" / "keys.db"

    def layers(self) -> dict:
        return {"store": {"kind": "sqlite", "path": str(self.path)}}

    def is_writable(self) -> bool:
        """Whether nobody holds the lock of a write transaction."""
        with closing(sqlite3.connect(self.path, timeout=0.5, isolation_level=None)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            database.execute("ROLLBACK")
            return True

    def reader(self, vault: Path, root_key_file: Path) -> KeyStore:
        return SqliteKeyStore(self.path, vault, root_key_file)

    def end(self):
        """The file goes with its folder."""


class Keyspace:
    CLOCKS = (CLOCK, STORE_CLOCK)

    def __init__(self, cassandra: Cassandra, folder: Path, name: str):
        self.cassandra = cassandra
        self.name = f"{name.replace('-', '_')[:24].strip('_')}_{os.urandom(4).hex()}"
        self.password_file = folder / "superuser"
        self._cql: Cql | None = None

    def layers(self) -> dict:
        store = {
            "kind": "scylla",
            "contact_points": self.cassandra.contact_points,
            "keyspace": self.name,
            "replication": len(self.cassandra.nodes),
            "datacenter": "datacenter1",
        }
        if self.cassandra.user:
            user, password = self.cassandra.user
            self.password_file.write_text(password + "\n")
            store |= {"user": user, "password_file": str(self.password_file)}
        return {"store": store, "kek": {"shared": True}}

    def cql(self) -> Cql:
        """One session for the whole test; it outlives nodes that come and go."""
        if self._cql is None:
            self._cql = Cql(self.cassandra, keyspace=self.name)
        return self._cql

    def reader(self, vault: Path, root_key_file: Path) -> CqlKeyStore:
        return CqlKeyStore(self.cql().patiently, vault, root_key_file)

    def end(self):
        """A server has no memory for the tables of hundreds of tests. After nodes were harmed they go with the server: a drop
        while Paxos has rounds of it open makes nodes disagree on the schema for good ("Unknown CF")."""
        if self._cql is not None:
            self._cql.close()
        if not self.cassandra.was_harmed:
            # One that closed its doors, for its disk is full, is nobody else's.
            with suppress(*TRANSIENT), Cql(self.cassandra) as cql:
                cql.patiently(f"DROP KEYSPACE IF EXISTS {self.name}", seconds=20)
