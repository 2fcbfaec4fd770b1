"""Stories for the fault proxy: a rule in steps, each of which waits for its request of one lane, then does its deed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kafka_faults import Fault, Gate, Kind
from kafka_wire import Api, Request

LANE = "w0.0"
# How long no record is sent before all of a transaction's records are at the broker; well above `linger.ms`.
QUIET = 0.3


async def passes() -> None:
    """The request goes its way."""


@dataclass
class Step:
    api: Api
    deed: Callable[[], Awaitable[Fault | None]] = passes
    commits: bool | None = None
    or_init: bool = False
    """A producer that is made anew will do as well: it ends the transaction of the one before."""
    filled: bool = False
    """Only in a transaction that has partitions: the client asks for these and for the offsets' in any order."""


class Script:
    """`over` opens when the last deed is done."""

    def __init__(self, *steps: Step):
        self._steps = list(steps)
        self._sent_at: float | None = None
        self._filled = False
        self.slow_fetches = 0.0
        """So many seconds each of a consumer's fetches waits."""
        self.over = Gate()

    def then(self, *steps: Step) -> "Script":
        self._steps += steps
        return self

    async def __call__(self, request: Request) -> Fault | None:
        if request.api == Api.Fetch and self.slow_fetches:
            return Fault(Kind.DELAY, seconds=self.slow_fetches)
        if request.client != LANE:
            return None
        self._follow(request)
        if not (self._steps and self._is_due(request)):
            return None
        fault = await self._steps.pop(0).deed()
        if not self._steps:
            self.over.open()
        return fault

    def _follow(self, request: Request):
        if request.api == Api.Produce:
            self._sent_at = time.monotonic()
        if request.api == Api.AddPartitionsToTxn:
            self._filled = True
        if request.api == Api.EndTxn:
            self._filled, self._sent_at = False, None

    def _is_due(self, request: Request) -> bool:
        step = self._steps[0]
        if step.or_init and request.api == Api.InitProducerId:
            return True
        if request.api != step.api or (step.filled and not self._filled):
            return False
        return step.commits is None or step.commits == request.commits

    def what_is_left(self) -> str:
        return "the script waits for " + ", ".join(step.api.name for step in self._steps)

    def await_over(self, seconds: float = 30):
        self.over.wait(seconds, self.what_is_left())

    async def all_is_sent(self):
        while self._sent_at is None or time.monotonic() < self._sent_at + QUIET:
            await asyncio.sleep(0.01)


async def arrives(late: Fault):
    """The late request reaches the broker now, and is answered."""
    late.until.open()
    await late.answered.opened(3)


def gives(fault: Fault) -> Callable[[], Awaitable[Fault]]:
    async def deed():
        return fault

    return deed
