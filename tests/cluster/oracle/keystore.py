"""Reads the KEK vault as schemas/kek-file.md says, and unwraps what a key store holds. The tables: keystore_*.py."""

import hashlib
import hmac
import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt
from nacl.exceptions import CryptoError

from .envelope import DerivedKey, derive, hkdf, short

LIVE, ERASED, ERASED_BY_TTL = 1, 2, 3
FENCED = 2


class Slot(NamedTuple):
    customer: bytes
    hour: int
    generation: int


@dataclass(frozen=True)
class KeyRow:
    slot: Slot
    state: int
    key_id: bytes
    commitment: bytes
    kek: str
    wrapped: bytes
    minted_at: int


class KeyStore(ABC):
    """What both forms of the store share: the vault, and unwrapping. A subclass reads the tables."""

    def __init__(self, vault: Path, root_key_file: Path):
        self.vault = vault
        self.root_key = _read_root_key(root_key_file)
        self._derived: dict[Slot, DerivedKey] = {}
        self._keks: dict[str, bytes] = {}
        self._rows: dict[Slot, KeyRow] = {}

    @abstractmethod
    def read_rows(self) -> list[KeyRow]:
        """All keys as they are now; the primary key of the table makes them one per slot."""

    @abstractmethod
    def gates(self) -> dict[tuple[bytes, int], dict]:
        """By customer and hour: `due`, `kek`, `state`."""

    @abstractmethod
    def customers(self) -> set[bytes]: ...

    @abstractmethod
    def meta(self, name: str) -> bytes: ...

    @abstractmethod
    def check_value(self, kek_id: str) -> bytes: ...

    def rows(self) -> dict[Slot, KeyRow]:
        rows = self.read_rows()
        for row in rows:
            assert row.key_id == row.commitment[:16], f"{row.slot}: key_id is not the commitment's beginning"
        self._rows = {row.slot: row for row in rows}
        assert len(self._rows) == len(rows), "a slot has two rows"
        return self._rows

    def token(self, customer: bytes) -> bytes:
        return hmac.digest(self.meta("token_key"), b"hourseal/1 token" + customer, hashlib.sha256)[:16]

    def row(self, slot: Slot) -> KeyRow:
        if slot not in self._rows:
            self.rows()
        return self._rows[slot]

    def key(self, slot: Slot) -> DerivedKey:
        """The seal key of a slot: unwrapped, derived, and its commitment compared with the row's."""
        if slot not in self._derived:
            self._derived[slot] = derive(self.dek(slot), *slot)
        return self._derived[slot]

    def dek(self, slot: Slot) -> bytes:
        row = self.row(slot)
        assert row.state == LIVE, f"{row.slot} is erased"
        return unwrap_dek(self.kek(row.kek), row.kek, row.slot, row.commitment, row.wrapped)

    def kek(self, kek_id: str) -> bytes:
        if kek_id not in self._keks:
            name = short(kek_id.encode())
            vault_id = bytes.fromhex((self.vault / "vault").read_text().removesuffix("\n"))
            assert len(vault_id) == 16 and vault_id == self.meta("vault_id"), "the store belongs to another vault"
            sealed = (self.vault / f"{kek_id}.kek").read_bytes()
            key = hkdf(self.root_key, b"hourseal/1 root" + name, 32)
            kek = _unseal(sealed, b"hourseal/1 kek" + vault_id + name, key)
            expected = self.check_value(kek_id)
            assert hkdf(kek, b"hourseal/1 check" + name, 16) == expected, f"{kek_id}: another check value"
            self._keks[kek_id] = kek
        return self._keks[kek_id]


def _read_root_key(file: Path) -> bytes:
    label, digits = file.read_text().split()
    assert label == "hourseal-root-1"
    return _exactly(bytes.fromhex(digits), 32)


class NotUnwrapped(Exception):
    """With the outcome's name, as the vectors have it."""


def unwrap_dek(kek: bytes, kek_id: str, slot: Slot, commitment: bytes, wrapped: bytes) -> bytes:
    wrap_key = hkdf(kek, b"hourseal/1 wrap" + short(kek_id.encode()), 32)
    place = short(slot.customer) + struct.pack(">IH", slot.hour, slot.generation)
    dek = _unseal(wrapped, b"hourseal/1 wrap" + place + commitment, wrap_key)
    if not hmac.compare_digest(derive(dek, *slot).commitment, commitment):
        raise NotUnwrapped("wrong-key")
    return dek


def _unseal(sealed: bytes, aad: bytes, key: bytes) -> bytes:
    if sealed[:1] != b"\1":
        raise NotUnwrapped("unknown-version")
    if sealed[1:2] != b"\1":
        raise NotUnwrapped("unknown-suite")
    if len(sealed) != 74:
        raise NotUnwrapped("unauthentic")
    try:
        return _exactly(crypto_aead_xchacha20poly1305_ietf_decrypt(sealed[26:], aad, sealed[2:26], key), 32)
    except CryptoError:
        raise NotUnwrapped("unauthentic") from None


def _exactly(secret: bytes, length: int) -> bytes:
    assert len(secret) == length
    return secret
