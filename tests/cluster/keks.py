"""KEKs that are destroyed when their day has ended, and what a copy of the key store opens before and after.

The copy is made before anything is erased, and is opened by the oracle, not by our own code."""

from pathlib import Path

from oracle.keystore import KeyRow, KeyStore, unwrap_dek
from world import World

# What is due goes within a second, and what wrapped its keys a second after its day.
GOING = {"retention": {"default": "2h", "sweep": "1s"}, "kek": {"destroy": "1s"}}


class Copy:
    """What somebody has who copied the key store: the wrapped keys of an hour, and the vault as it is when they try."""

    def __init__(self, world: World, hour: int, expected: int = 2):
        self.keys: KeyStore = world.keys()
        rows = [row for row in self.keys.read_rows() if row.slot.hour == hour]
        self.rows: list[KeyRow] = [row for row in rows if row.wrapped]
        assert len(self.rows) == expected

    def opens(self) -> bool:
        self.keys._keks.clear()
        try:
            for row in self.rows:
                unwrap_dek(self.keys.kek(row.kek), row.kek, row.slot, row.commitment, row.wrapped)
        except FileNotFoundError:
            return False
        return True

    def kek_file(self, world: World) -> Path:
        return world.vault / f"{self.rows[0].kek}.kek"


def destroyed(world: World) -> list[dict]:
    return [receipt for receipt in world.receipt_bodies() if receipt["type"] == "destroy-kek"]
