"""What was swept, by the letter of schemas/receipt-log.md: the receipts' hours are read, and their root is computed here."""

import hashlib
import json
from typing import NamedTuple

from children import wait_until
from world import World


class Swept(NamedTuple):
    token: str
    hour: int
    key_count: int
    keys: tuple


def sweeps(world: World) -> list[tuple[dict, list[Swept]]]:
    """The receipts of sweeps, each with the hours of its header, after its root was computed anew."""
    found = []
    for record in world.topics.read(world.receipts):
        receipt = json.loads(record.value())
        if receipt["type"] == "sweep":
            (header,) = [value for name, value in record.headers() if name == "hourseal-swept"]
            leaves = list(split(header))
            assert receipt["swept"] == {"hours": len(leaves), "root": root(leaves).hex()}
            hours = [parse(leaf) for leaf in leaves]
            assert receipt["key_count"] == sum(hour.key_count for hour in hours)
            found.append((receipt, hours))
    return found


def split(header: bytes):
    while header:
        length = int.from_bytes(header[:4], "big")
        yield header[4 : 4 + length]
        header = header[4 + length :]


def parse(leaf: bytes) -> Swept:
    keys, rest = [], leaf[24:]
    while rest:
        end = 19 + rest[18]
        keys.append((int.from_bytes(rest[:2], "big"), rest[2:18].hex(), rest[19:end].decode()))
        rest = rest[end:]
    return Swept(leaf[:16].hex(), int.from_bytes(leaf[16:20], "big"), int.from_bytes(leaf[20:24], "big"), tuple(keys))


def root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split_at = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root(leaves[:split_at]) + root(leaves[split_at:])).digest()


def await_swept(world: World, hours: int, seconds: float = 40) -> list[Swept]:
    """Every swept hour, as soon as there are so many."""
    swept = lambda: [hour for _, hours in sweeps(world) for hour in hours]  # noqa: E731
    wait_until(lambda: len(swept()) >= hours, seconds, f"{hours} hours are swept", every=0.5)
    return swept()
