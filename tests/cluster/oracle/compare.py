"""Compares what came out with what went in: every event once, byte for byte, in order, in the right slot."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from .envelope import Unopened, open_with, read_head
from .events import HOUR_MS, Event, Ledger
from .keystore import KeyStore, NotUnwrapped, Slot


@dataclass
class Findings:
    records: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    twice: list[str] = field(default_factory=list)  # of each doubled event: its place in the input, and both in the output
    alien: list[str] = field(default_factory=list)  # opened to something that nobody sent
    unopened: list[str] = field(default_factory=list)
    wrong_slot: list[str] = field(default_factory=list)
    key_ids: dict[Slot, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    generations: Counter = field(default_factory=Counter)

    def summary(self) -> str:
        shared = [slot for slot, ids in self.key_ids.items() if len(ids) != 1]
        return (
            f"{self.records} records, {len(self.key_ids)} slots: {self.lost} lost, {self.doubled} doubled, "
            f"{self.reordered} reordered, {len(self.alien)} alien, {len(self.unopened)} unopened, "
            f"{len(self.wrong_slot)} in a wrong slot, {len(shared)} slots with several keys"
        )

    def assert_exactly_once(self):
        faults = [self.lost, self.doubled, self.reordered, self.alien, self.unopened, self.wrong_slot]
        details = [*self.twice[:9], *self.alien[:3], *self.unopened[:3], *self.wrong_slot[:3]]
        assert not any(faults), "\n".join([self.summary(), *details])
        assert all(len(ids) == 1 for ids in self.key_ids.values()), self.summary()


def compare(ledger: Ledger, sealed: Iterable, keys: KeyStore, stream: bytes = b"jobs") -> Findings:
    """`sealed` are the messages of the output topic, each partition in its own order."""
    findings = Findings()
    seen: Counter = Counter()
    last: dict[tuple[int, int], int] = {}
    first: dict[bytes, str] = {}
    for message in sealed:
        findings.records += 1
        place = f"{message.topic()}/{message.partition()}/{message.offset()}"
        event = _opened(message, keys, stream, findings, place)
        if event is None:
            continue
        mark = event.fingerprint()
        if mark not in ledger.places:
            findings.alien.append(f"{place}: {event!r:.600}")
            continue
        seen[mark] += 1
        if seen[mark] > 1:
            findings.twice.append(f"{ledger.places[mark]}: {first[mark]} and {place}")
            continue
        first[mark] = place
        partition, index = ledger.places[mark]
        lane = (partition, message.partition())
        findings.reordered += index < last.get(lane, -1)
        last[lane] = max(index, last.get(lane, -1))
    findings.lost = len(ledger) - len(seen)
    findings.doubled = sum(count - 1 for count in seen.values())
    return findings


def _opened(message, keys: KeyStore, stream: bytes, findings: Findings, place: str) -> Event | None:
    customer, envelope = message.key(), message.value()
    try:
        head = read_head(envelope)
        slot = Slot(customer, head.hour, head.generation)
        head, frame = open_with(keys.key(slot), envelope, customer, stream)
    except (Unopened, NotUnwrapped, KeyError, TypeError) as reason:
        findings.unopened.append(f"{place}: {reason!r}")
        return None
    time_ms = head.hour * HOUR_MS + frame.milliseconds
    if message.timestamp()[1] != time_ms:
        findings.wrong_slot.append(f"{place}: record time {message.timestamp()[1]}, event time {time_ms}")
    findings.key_ids[slot].add(head.key_id)
    findings.generations[head.generation] += 1
    return Event(customer, time_ms, frame.key, frame.headers, frame.payload)
