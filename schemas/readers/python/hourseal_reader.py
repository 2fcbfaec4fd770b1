"""Opens sealed records as schemas/envelope.md says. Copy this file: it needs PyNaCl and nothing else.

    slot = slot_of(key, headers, value)                                      whose key it is: ask the key store for it
    event = open_record(key, headers, value, stream, dek, commitment)        what was sealed

Every function answers what it is named after, or a Refusal; no bytes of a record make it raise. Key, value and headers, which are
pairs, are the record's bytes, None where they are null.
"""  # SPDX-License-Identifier: MIT OR Apache-2.0

import hmac
from dataclasses import dataclass
from enum import Enum
from functools import wraps
from hashlib import sha256
from struct import pack, unpack_from
from typing import NamedTuple

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt
from nacl.exceptions import CryptoError

MAGIC, SUITE, VERSION = 0xE9, 0x01, 0x01
HEADER, SHORTEST, WRAPPED = 48, 68, 74
KEY, HEADERS, NULL_PAYLOAD = 0b001, 0b010, 0b100
NULL_VALUE, HOUR_MS = 0xFFFFFFFF, 3_600_000
CUSTOMER = (b"hourseal-customer", "hourseal-customer")  # some clients decode the names of headers


class Refusal(Enum):
    """Why there is no event, or no DEK."""
    NOT_AN_ENVELOPE = "not-an-envelope"
    UNKNOWN_SUITE = "unknown-suite"
    WRONG_KEY = "wrong-key"
    TAMPERED = "tampered"
    UNKNOWN_VERSION = "unknown-version"  # of a wrapped DEK
    UNAUTHENTIC = "unauthentic"  # a wrapped DEK


class Slot(NamedTuple):
    """What has one DEK. A claim, until the record has opened."""
    customer: bytes
    hour: int
    generation: int


@dataclass(frozen=True, repr=False)
class Event:
    """What was sealed. It prints nothing of itself."""
    hour: int
    generation: int
    milliseconds: int
    key: bytes | None
    headers: list[tuple[bytes, bytes | None]]
    payload: bytes | None

    @property
    def time_ms(self) -> int:
        return self.hour * HOUR_MS + self.milliseconds


class _Refused(Exception):
    """The first step that failed, on its way to the answer."""


def _answers(function):
    @wraps(function)
    def answer(*given):
        try:
            return function(*given)
        except _Refused as refused:
            return refused.args[0]
    return answer


def _require(condition: bool, otherwise: Refusal) -> None:
    if not condition:
        raise _Refused(otherwise)


@_answers
def slot_of(key, headers, value) -> Slot | Refusal:
    """Steps 1 and 2: the slot whose DEK and commitment the key store has to give."""
    return _slot(_customer(key, headers), value)


@_answers
def open_record(key, headers, value, stream: str, dek: bytes, commitment: bytes) -> Event | Refusal:
    """Steps 1 to 5, with the DEK and the commitment that the key store has for slot_of(..)."""
    return _open(value, _customer(key, headers), stream.encode(), dek, commitment)


@_answers
def open_envelope(envelope, customer: bytes, stream: str, dek: bytes, commitment: bytes) -> Event | Refusal:
    """The same for who knows the customer otherwise."""
    _check_customer(customer)
    return _open(envelope, customer, stream.encode(), dek, commitment)


@_answers
def unwrap_dek(wrapped: bytes, kek: bytes, kek_id: str, slot: Slot, commitment: bytes) -> bytes | Refusal:
    """The DEK of a slot, out of the key store's row."""
    _require(wrapped[:1] == bytes([VERSION]), Refusal.UNKNOWN_VERSION)
    _require(wrapped[1:2] == bytes([SUITE]), Refusal.UNKNOWN_SUITE)
    _require(len(wrapped) == WRAPPED and len(kek) == 32, Refusal.UNAUTHENTIC)
    label = b"hourseal/1 wrap"
    aad = label + _sized(slot.customer) + pack(">IH", slot.hour, slot.generation) + commitment
    wrap_key = _hkdf(kek, label + _sized(kek_id.encode()), 32)
    dek = _decrypt(wrap_key, wrapped[2:26], aad, wrapped[26:], Refusal.UNAUTHENTIC)
    _derive(dek, slot, commitment)
    return dek


def _customer(key, headers) -> bytes:
    """Step 1."""
    named = [value for name, value in headers or () if name in CUSTOMER]
    _require(len(named) <= 1, Refusal.NOT_AN_ENVELOPE)
    customer = named[0] if named else key
    _check_customer(customer)
    return customer


def _check_customer(customer) -> None:
    _require(customer is not None and 1 <= len(customer) <= 256, Refusal.NOT_AN_ENVELOPE)
    _require(customer[:1] != b"~" or customer == b"~quarantine", Refusal.NOT_AN_ENVELOPE)
    _require(customer.decode("utf-8", "ignore").encode() == customer, Refusal.NOT_AN_ENVELOPE)


def _slot(customer: bytes, value) -> Slot:
    """Step 2, and what the header claims."""
    _require(value is not None and len(value) >= 2 and value[0] == MAGIC, Refusal.NOT_AN_ENVELOPE)
    _require(value[1] == SUITE, Refusal.UNKNOWN_SUITE)
    _require(len(value) >= SHORTEST, Refusal.NOT_AN_ENVELOPE)
    generation, hour = unpack_from(">HI", value, 2)
    return Slot(customer, hour, generation)


def _open(value, customer: bytes, stream: bytes, dek: bytes, commitment: bytes) -> Event:
    slot = _slot(customer, value)
    seal_key = _derive(dek, slot, commitment, value[8:24])
    aad = value[:HEADER] + _sized(customer) + _sized(stream)
    frame = _decrypt(seal_key, value[24:HEADER], aad, value[HEADER:], Refusal.TAMPERED)
    return Event(slot.hour, slot.generation, *_parse(frame))


def _derive(dek: bytes, slot: Slot, commitment: bytes, key_id: bytes | None = None) -> bytes:
    """Step 3: the seal key, which the commitment, and the key_id where there is one, must fit. Of the DEK alone, too."""
    info = b"hourseal/1 dek" + bytes([SUITE]) + _sized(slot.customer) + pack(">IH", slot.hour, slot.generation)
    okm = _hkdf(dek, info, 64)
    fits = hmac.compare_digest(okm[32:], commitment)
    fits &= key_id is None or hmac.compare_digest(okm[32:48], key_id)
    _require(fits, Refusal.WRONG_KEY)
    return okm[:32]


def _decrypt(key: bytes, nonce: bytes, aad: bytes, sealed: bytes, otherwise: Refusal) -> bytes:
    """Step 4."""
    try:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, aad, nonce, key)
    except CryptoError:
        raise _Refused(otherwise) from None


def _parse(frame: bytes):
    """Step 5: milliseconds, key, headers and payload of a canonical frame."""
    rest = memoryview(frame)

    def take(length: int) -> bytes:
        nonlocal rest
        _require(length <= len(rest), Refusal.TAMPERED)  # before anything is allocated for it
        taken, rest = rest[:length], rest[length:]
        return bytes(taken)

    def number(width: int) -> int:
        return int.from_bytes(take(width), "big")

    def header() -> tuple[bytes, bytes | None]:
        name, length = take(number(2)), number(4)
        return name, None if length == NULL_VALUE else take(length)

    flags, milliseconds = number(1), number(3)
    _require(flags & ~(KEY | HEADERS | NULL_PAYLOAD) == 0 and milliseconds < HOUR_MS, Refusal.TAMPERED)
    key = take(number(4)) if flags & KEY else None
    count = number(2) if flags & HEADERS else 0
    _require(count > 0 or not flags & HEADERS, Refusal.TAMPERED)
    headers = [header() for _ in range(count)]
    _require(not (flags & NULL_PAYLOAD and rest), Refusal.TAMPERED)
    return milliseconds, key, headers, None if flags & NULL_PAYLOAD else bytes(rest)


def _sized(data: bytes) -> bytes:
    return pack(">H", len(data)) + data  # u16 len ‖ data


def _hkdf(ikm: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA256 of RFC 5869 with an empty salt."""
    prk = hmac.digest(bytes(32), ikm, sha256)
    block, okm = b"", b""
    while len(okm) < length:
        block = hmac.digest(prk, block + info + bytes([len(okm) // 32 + 1]), sha256)
        okm += block
    return okm[:length]
