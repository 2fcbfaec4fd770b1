"""A log of receipts of its own: tree, checkpoint and proofs by the written forms (schemas/receipt-log.md), by the recursion
of RFC 6962, sharing no code with the worker or the verifiers."""

import base64
import hashlib

from nacl.signing import SigningKey


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def leaf(value: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + value).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1


class Log:
    def __init__(self, origin: str, key: SigningKey, values: list[bytes]):
        self.origin, self._key, self.values = origin, key, values
        self._leaves = [leaf(value) for value in values]
        self._roots: dict[tuple[int, int], bytes] = {}

    def root(self, start: int, end: int) -> bytes:
        if end == start:
            return hashlib.sha256(b"").digest()
        if end - start == 1:
            return self._leaves[start]
        if (start, end) not in self._roots:
            middle = start + split(end - start)
            self._roots[start, end] = node(self.root(start, middle), self.root(middle, end))
        return self._roots[start, end]

    def path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        middle = start + split(end - start)
        if index < middle:
            return [*self.path(index, start, middle), self.root(middle, end)]
        return [*self.path(index, middle, end), self.root(start, middle)]

    def _key_id(self) -> bytes:
        public = bytes(self._key.verify_key)
        return hashlib.sha256(self.origin.encode() + b"\n\x01" + public).digest()[:4]

    def vkey(self) -> str:
        return f"{self.origin}+{self._key_id().hex()}+{b64(bytes([1]) + bytes(self._key.verify_key))}"

    def note(self, text: str) -> str:
        signature = self._key_id() + self._key.sign(text.encode()).signature
        return f"{text}\n— {self.origin} {b64(signature)}\n"

    def checkpoint(self) -> str:
        size = len(self.values)
        return self.note(f"{self.origin}\n{size}\n{b64(self.root(0, size))}\n")

    def proof(self, index: int, checkpoint: str | None = None) -> bytes:
        hashes = "".join(f"{b64(sibling)}\n" for sibling in self.path(index, 0, len(self.values)))
        head = f"c2sp.org/tlog-proof@v1\nextra {b64(self.values[index])}\nindex {index}\n"
        return f"{head}{hashes}\n{checkpoint or self.checkpoint()}".encode()
