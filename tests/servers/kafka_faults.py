"""What can happen to a request on its way, who decides it, and the list of what happened.

A rule is asked about every request: `await rule(request)` gives a `Fault` or None. It may wait:
the request is held so long.
"""

import asyncio
import json
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from kafka_wire import Api, Request


class Kind(StrEnum):
    DELAY = "delay"  # held for `seconds`, or until the gate opens
    DROP = "drop"  # a request never reaches the broker, an answer never the client; the client's connection is closed
    LATE = "late"  # the client's connection is closed at once; the request reaches the broker afterwards
    HALF_CLOSE = "half-close"  # the way to the broker ends after the request, the way to the client before the answer
    SLICE = "slice"  # delivered in small pieces
    THROTTLE = "throttle"  # delivered in pieces over `seconds`
    SWALLOW = "swallow"  # neither this request nor a later one of its connection is delivered or answered


class Direction(StrEnum):
    REQUEST = "request"
    ANSWER = "answer"


class Gate:
    """Opened once, by any thread; awaited by a test or on the proxy's loop."""

    def __init__(self):
        self._event = threading.Event()

    def open(self):
        self._event.set()

    @property
    def is_open(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float, what: str):
        assert self._event.wait(seconds), f"not within {seconds} s: {what}"

    async def opened(self, seconds: float = 60):
        async with asyncio.timeout(seconds):
            while not self.is_open:
                await asyncio.sleep(0.005)


@dataclass
class Fault:
    kind: Kind
    direction: Direction = Direction.REQUEST
    seconds: float = 0
    until: Gate | None = None
    """Instead of `seconds`."""
    answered: Gate = field(default_factory=Gate, compare=False)
    """Open once the broker has answered a request whose client has left."""
    error: int | None = field(default=None, compare=False)
    """What that answer said."""

    async def moment(self):
        await (self.until.opened() if self.until else asyncio.sleep(self.seconds))


Rule = Callable[[Request], Awaitable[Fault | None]]


class FaultLog:
    """Writes each fault as a line of JSON when it is decided: a run that is killed leaves its list, too."""

    def __init__(self, file: Path):
        self.file = file
        self._start = time.monotonic()
        self.file.write_text("")

    def put(self, request: Request, fault: Fault):
        line = {
            "ms": int((time.monotonic() - self._start) * 1000),
            "connection": request.connection,
            "client": request.client,
            "api": request.name,
            "nth": request.nth,
            "kind": fault.kind,
            "direction": fault.direction,
            "seconds": round(fault.seconds, 3),
        }
        with open(self.file, "a") as out:
            out.write(json.dumps(line) + "\n")

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]


class Replay:
    """A rule made of a list: the nth request of that API by that client meets that fault again."""

    def __init__(self, lines: Iterable[dict]):
        self._faults = {(line["client"], line["api"], line["nth"]): line for line in lines}

    async def __call__(self, request: Request) -> Fault | None:
        line = self._faults.get((request.client, request.name, request.nth))
        return line and Fault(Kind(line["kind"]), Direction(line["direction"]), line["seconds"])


class Chaos:
    """A rule that draws: a request meets a fault with `chance` times the weight of its API."""

    WEIGHTS = {
        Api.EndTxn: 4,
        Api.TxnOffsetCommit: 3,
        Api.AddOffsetsToTxn: 3,
        Api.AddPartitionsToTxn: 3,
        Api.InitProducerId: 2,
        Api.Produce: 1,
        Api.OffsetFetch: 3,
        Api.JoinGroup: 3,
        Api.SyncGroup: 3,
        Api.Heartbeat: 1,
        Api.ListOffsets: 3,
        Api.FindCoordinator: 2,
        Api.Metadata: 0.5,
        Api.Fetch: 0.1,
    }
    KINDS = [
        *[(Kind.DELAY, Direction.REQUEST), (Kind.DELAY, Direction.ANSWER)] * 2,
        *[(Kind.DROP, Direction.REQUEST), (Kind.DROP, Direction.ANSWER)] * 3,
        *[(Kind.LATE, Direction.REQUEST)] * 5,
        *[(Kind.HALF_CLOSE, Direction.REQUEST), (Kind.HALF_CLOSE, Direction.ANSWER)],
        *[(Kind.SLICE, Direction.REQUEST), (Kind.THROTTLE, Direction.ANSWER)],
        (Kind.SWALLOW, Direction.REQUEST),
    ]

    def __init__(self, rng: random.Random, chance: float, longest: float):
        self._rng, self._chance, self._longest = rng, chance, longest

    async def __call__(self, request: Request) -> Fault | None:
        if self._rng.random() >= self._chance * self.WEIGHTS.get(request.api, 0):
            return None
        kind, direction = self._rng.choice(self.KINDS)
        return Fault(kind, direction, self._rng.uniform(0.2, self._longest))
