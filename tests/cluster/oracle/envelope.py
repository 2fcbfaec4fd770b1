"""Opens sealed records as schemas/envelope.md says. Written from that document alone."""

import hashlib
import hmac
import struct
from dataclasses import dataclass

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt
from nacl.exceptions import CryptoError

MAGIC, SUITE = 0xE9, 0x01
HEAD, TAG = 48, 16
HOUR_MS = 3_600_000
NULL = 0xFFFFFFFF
KEY, HEADERS, NULL_PAYLOAD = 0b001, 0b010, 0b100


class Unopened(Exception):
    outcome: str


class NotAnEnvelope(Unopened):
    outcome = "not-an-envelope"


class UnknownSuite(Unopened):
    outcome = "unknown-suite"


class WrongKey(Unopened):
    outcome = "wrong-key"


class Tampered(Unopened):
    outcome = "tampered"


@dataclass(frozen=True)
class Head:
    generation: int
    hour: int
    key_id: bytes
    nonce: bytes


@dataclass(frozen=True)
class Frame:
    milliseconds: int
    key: bytes | None
    headers: tuple[tuple[bytes, bytes | None], ...]
    payload: bytes | None


@dataclass(frozen=True)
class DerivedKey:
    seal_key: bytes
    commitment: bytes


def hkdf(secret: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA256 of RFC 5869 with an empty salt."""
    prk = hmac.digest(bytes(32), secret, hashlib.sha256)
    block, okm = b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.digest(prk, block + info + bytes([counter]), hashlib.sha256)
        okm += block
    return okm[:length]


def short(text: bytes) -> bytes:
    """u16 len ‖ bytes"""
    return struct.pack(">H", len(text)) + text


def derive(dek: bytes, customer: bytes, hour: int, generation: int) -> DerivedKey:
    info = b"hourseal/1 dek" + bytes([SUITE]) + short(customer) + struct.pack(">IH", hour, generation)
    okm = hkdf(dek, info, 64)
    return DerivedKey(okm[:32], okm[32:])


def read_head(envelope: bytes) -> Head:
    if len(envelope) < 2 or envelope[0] != MAGIC:
        raise NotAnEnvelope
    if envelope[1] != SUITE:
        raise UnknownSuite
    if len(envelope) < HEAD + TAG + 4:
        raise NotAnEnvelope
    generation, hour = struct.unpack_from(">HI", envelope, 2)
    return Head(generation, hour, envelope[8:24], envelope[24:48])


def open_with(key: DerivedKey, envelope: bytes, customer: bytes, stream: bytes) -> tuple[Head, Frame]:
    """Opens under a key whose commitment was already compared with the store's."""
    head = read_head(envelope)
    if not hmac.compare_digest(head.key_id, key.commitment[:16]):
        raise WrongKey
    aad = envelope[:HEAD] + short(customer) + short(stream)
    try:
        frame = crypto_aead_xchacha20poly1305_ietf_decrypt(envelope[HEAD:], aad, head.nonce, key.seal_key)
    except CryptoError:
        raise Tampered from None
    return head, parse_frame(frame)


def open_envelope(envelope: bytes, customer: bytes, stream: bytes, dek: bytes, commitment: bytes) -> tuple[Head, Frame]:
    """Steps 2 to 5 of "Opening", given the customer and the store's row of the slot."""
    head = read_head(envelope)
    key = derive(dek, customer, head.hour, head.generation)
    if not hmac.compare_digest(key.commitment, commitment):
        raise WrongKey
    return open_with(key, envelope, customer, stream)


def parse_frame(frame: bytes) -> Frame:
    """Accepts the canonical frame only."""
    flags, at = frame[0], 4
    milliseconds = int.from_bytes(frame[1:4], "big")
    if flags & ~(KEY | HEADERS | NULL_PAYLOAD) or milliseconds >= HOUR_MS:
        raise Tampered

    def take(length: int) -> bytes:
        nonlocal at
        if at + length > len(frame):
            raise Tampered
        at += length
        return frame[at - length : at]

    def number(width: int) -> int:
        return int.from_bytes(take(width), "big")

    key = take(number(4)) if flags & KEY else None
    headers = []
    if flags & HEADERS:
        count = number(2)
        if count == 0:
            raise Tampered
        for _ in range(count):
            name = take(number(2))
            length = number(4)
            headers.append((name, None if length == NULL else take(length)))
    payload = frame[at:]
    if flags & NULL_PAYLOAD:
        if payload:
            raise Tampered
        payload = None
    return Frame(milliseconds, key, tuple(headers), payload)
