"""Job events to feed in, and the ledger of what was fed."""

import hashlib
import json
import random
import string
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

HOUR_MS = 3_600_000

Headers = tuple[tuple[bytes, bytes | None], ...]


class Event(NamedTuple):
    """What a reader must get back: the customer and time that decide the key, and the content."""

    customer: bytes
    time_ms: int
    key: bytes | None
    headers: Headers
    payload: bytes | None

    def fingerprint(self) -> bytes:
        return hashlib.blake2b(repr(tuple(self)).encode(), digest_size=16).digest()


class Ledger:
    """Where each event was put: input partition and place within it. Events are told apart by their whole content."""

    def __init__(self):
        self.places: dict[bytes, tuple[int, int]] = {}
        self._next: dict[int, int] = {}

    def __len__(self):
        return len(self.places)

    def put(self, partition: int, event: Event):
        place = self._next.get(partition, 0)
        self._next[partition] = place + 1
        mark = event.fingerprint()
        assert mark not in self.places, "the generator made the same event twice"
        self.places[mark] = (partition, place)

    def give_up(self, partition: int, first: int, end: int):
        """Expects some events of a partition no more, by their places in it: from `first`, and before `end`."""
        given_up = [mark for mark, place in self.places.items() if (partition, first) <= place < (partition, end)]
        assert len(given_up) == end - first, f"{len(given_up)} of {end - first} events were expected"
        for mark in given_up:
            del self.places[mark]


def rfc3339(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{time_ms % 1000:03}Z"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def customer_names(count: int, name: str) -> list[str]:
    """Plain ones, and some that a careless reader would normalise, trim or split."""
    odd = ["ÄCME-ß", "  spaced  ", "a/b?c=d#e", "日本語", "x" * 256, "é", "e\u0301", "UPPER", "upper", "0"]
    return (odd[: count // 2] + [f"{name}-{n:04}" for n in range(count)])[:count]


def job_events(
    rng: random.Random, customers: int = 200, hours: int = 30, late_share: float = 0.5, name: str = "customer"
) -> Iterator[Event]:
    """Endless, no two alike: customers skewed (Zipf), late ones spread over `hours`, odd keys, headers and payloads."""
    names = customer_names(customers, name)
    weights = [1 / rank for rank in range(1, customers + 1)]
    letters = string.ascii_letters + " ¡ðŋ€"
    chosen: list[str] = []
    serial = 0
    while True:
        if not chosen:
            chosen = rng.choices(names, weights, k=10_000)
        serial += 1
        late = rng.random() < late_share
        event_time = now_ms() - (rng.randrange(hours * HOUR_MS) if late else rng.randrange(1_000))
        customer = chosen.pop()
        filler = letters[serial % 50 :] * (rng.randrange(14))
        body = {"customer_id": customer, "occurred_at": rfc3339(event_time), "job": serial, "log": filler}
        text = json.dumps(body, ensure_ascii=serial % 3 == 0, indent=2 if serial % 7 == 0 else None)
        yield Event(customer.encode(), event_time, _key(rng, serial), _headers(rng, serial), text.encode())


def raw_events(rng: random.Random, customers: int = 20, hours: int = 30) -> Iterator[Event]:
    """For `header:customer` and `timestamp`: any payload will do, null and empty included."""
    names = customer_names(customers, "customer")
    serial = 0
    while True:
        serial += 1
        customer = rng.choice(names).encode()
        payload = rng.choice([None, b"", b"\x00", rng.randbytes(rng.randrange(2_000))])
        headers = ((b"customer", customer), (b"serial", str(serial).encode()), *_headers(rng, serial))
        yield Event(customer, now_ms() - rng.randrange(hours * HOUR_MS), _key(rng, serial), headers, payload)


def _key(rng: random.Random, serial: int) -> bytes | None:
    return (None, b"", rng.randbytes(8), f"job-{serial}".encode())[serial % 4]


def _headers(rng: random.Random, serial: int) -> Headers:
    if serial % 3 == 0:
        return ()
    pool = [
        (b"trace", rng.randbytes(16)),
        (b"trace", b"again"),
        (b"empty", b""),
        (b"none", None),
        ("größe".encode(), b"\xff\xfe"),
        (b"hourseal-customer", b"someone else"),
        (b"hourseal-reason", None),
    ]
    return tuple(rng.choices(pool, k=rng.randrange(1, 6)))
