#!/usr/bin/env python3
"""Verifies proofs of Hourseal's receipts (schemas/receipt-log.md): Python's standard library, and PyNaCl for Ed25519.

    verify_receipt.py VKEY FILE...      `-` reads the base64 of one proof from each line of stdin

Prints `NAME: ok INDEX of SIZE` or `NAME: refused STEP`; exits 65 if one is refused. VKEY comes from the log's operator.
"""

import base64
import hashlib
import re
import sys

from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey

MOST_BYTES, MOST_NOTE_BYTES, MOST_SIGNATURES, MOST_PATH = 16 << 20, 64 << 10, 64, 63
NAME = re.compile(r"[^\s+\x00-\x1f]+")
DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


class Refused(Exception):
    """The step that failed: form, key, signature, origin or inclusion."""


def need(holds, step="form"):
    if not holds:
        raise Refused(step)


def decoded(text: str, size: int | None = None) -> bytes:
    """Base64 of RFC 4648 section 4 in its one form: what is decoded is encoded to the same."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Refused("form") from None
    need(base64.b64encode(data).decode() == text and (size is None or len(data) == size))
    return data


def number(text: str) -> int:
    need(DECIMAL.fullmatch(text) and int(text) < 1 << 63)
    return int(text)


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


class Key:
    """A verifier key: name+hex(id)+base64(0x01 || public key)."""

    def __init__(self, text: str):
        self.name, key_id, key = text.split("+", 2)
        data = decoded(key, 33)
        self.id = sha256(self.name.encode(), b"\n", data)[:4]
        need(NAME.fullmatch(self.name) and data[0] == 1 and self.id.hex() == key_id)
        self.verify = VerifyKey(data[1:]).verify

    def has_signed(self, text: str, signature: bytes) -> bool:
        try:
            return bool(self.verify(text.encode(), signature))
        except (CryptoError, ValueError):
            return False


def parse_note(note: str):
    """The text and its (name, id, signature)s."""
    need(len(note.encode()) <= MOST_NOTE_BYTES and not re.search(r"[\x00-\x09\x0b-\x1f]", note))
    text, empty, lines = note.rpartition("\n\n")
    need(empty and lines.endswith("\n"))
    signatures = []
    for line in lines[:-1].split("\n"):
        need(line.startswith("\u2014 ") and line.count(" ") == 2)
        name, data = line.split(" ")[1], decoded(line.split(" ")[2])
        need(NAME.fullmatch(name) and len(data) > 4)
        signatures.append((name, data[:4], data[4:]))
    need(len({signature[:2] for signature in signatures}) == len(signatures) <= MOST_SIGNATURES)
    return text + "\n", signatures


def parse(proof: bytes):
    need(len(proof) <= MOST_BYTES)
    try:
        head, empty, note = proof.decode("utf-8").partition("\n\n")
    except UnicodeDecodeError:
        raise Refused("form") from None
    lines = head.split("\n")
    need(empty and len(lines) >= 3 and lines[0] == "c2sp.org/tlog-proof@v1")
    need(lines[1].startswith("extra ") and lines[2].startswith("index "))
    receipt, index = decoded(lines[1][6:]), number(lines[2][6:])
    need(receipt and len(lines) <= 3 + MOST_PATH)
    path = [decoded(line, 32) for line in lines[3:]]
    text, signatures = parse_note(note)
    checkpoint = text[:-1].split("\n")
    need(len(checkpoint) >= 3 and all(checkpoint))
    return receipt, index, path, text, signatures, checkpoint[0], number(checkpoint[1]), decoded(checkpoint[2], 32)


def root_of(leaf: bytes, index: int, path: list[bytes], size: int) -> bytes:
    """RFC 9162 section 2.1.3.2."""
    need(index < size, "inclusion")
    node, at, last = leaf, index, size - 1
    for sibling in path:
        need(last, "inclusion")
        if at & 1 or at == last:
            node = sha256(b"\x01", sibling, node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = sha256(b"\x01", node, sibling)
        at, last = at >> 1, last >> 1
    need(not last, "inclusion")
    return node


def verify(proof: bytes, key: Key):
    """(receipt, index, size), or Refused."""
    receipt, index, path, text, signatures, origin, size, root = parse(proof)
    ours = [signature for name, key_id, signature in signatures if (name, key_id) == (key.name, key.id)]
    need(ours, "key")
    need(key.has_signed(text, ours[0]), "signature")
    need(origin == key.name, "origin")
    need(root_of(sha256(b"\x00", receipt), index, path, size) == root, "inclusion")
    return receipt, index, size


def proofs(files):
    for file in files:
        if file == "-":
            yield from ((number, base64.b64decode(line)) for number, line in enumerate(sys.stdin.buffer, 1))
        else:
            with open(file, "rb") as opened:
                yield file, opened.read(MOST_BYTES + 1)


def main(vkey, *files, verify=verify):
    key, refused = Key(vkey), 0
    for name, proof in proofs(files):
        try:
            _, index, size = verify(proof, key)
            print(f"{name}: ok {index} of {size}")
        except Refused as step:
            refused += 1
            print(f"{name}: refused {step}")
    return 65 if refused else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) > 2 else __doc__)
