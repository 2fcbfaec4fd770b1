"""Parked partitions as an operator sees them: the notes of /readyz, the gauge, the log, and the flag that accepts a gap."""

import json
import re
from typing import NamedTuple

from children import wait_until
from world import Worker

# Log codes.
ASSIGNED, PARKED, FLOWS_AGAIN, GAP_ACCEPTED = "HS1202", "HS1424", "HS1425", "HS1426"
NOTE = re.compile(r"partition (\d+) of (\S+) is parked \(([a-z-]+)\): (.+)", re.DOTALL)


class Note(NamedTuple):
    topic: str
    reason: str
    text: str


def readiness(worker: Worker) -> dict:
    """The JSON of /readyz; empty when nobody answers."""
    status, body = worker.get("/readyz")
    return json.loads(body) if status else {}


def notes(worker: Worker) -> dict[int, Note]:
    """What /readyz says of each parked partition, whether the worker is ready or not."""
    found = [match.groups() for note in readiness(worker).get("notes", []) if (match := NOTE.fullmatch(note))]
    assert len({partition for partition, *_ in found}) == len(found), f"a partition is named twice: {found}"
    return {int(partition): Note(*rest) for partition, *rest in found}


def unmet(worker: Worker) -> set[str]:
    """The conditions of /readyz that are not met."""
    return {reason["condition"] for reason in readiness(worker).get("reasons", [])}


def gauge(worker: Worker) -> dict[int, str]:
    """The reason of each partition that the metrics call parked; empty when nobody answers."""
    found = {}
    if worker.get("/metrics")[0] == 0:
        return found
    for (name, labels), value in worker.figures().items():
        if name == "hourseal_partition_parked":
            assert value == 1, f"{dict(labels)}: {value}"
            found[int(dict(labels)["partition"])] = dict(labels)["reason"]
    return found


def lines(workers: list[Worker], code: str) -> list[dict]:
    """The log lines with a code, since the first start of each worker."""
    texts = {worker.log: worker.text() for worker in workers}
    return [json.loads(line) for text in texts.values() for line in text.splitlines() if f'"{code}"' in line]


def await_parked(workers: list[Worker], partition: int, reason: str, seconds: float = 40) -> Worker:
    """Waits until one of the workers names the partition with this reason, and no other one names it. Returns that worker."""

    def parks(worker: Worker) -> bool:
        assert worker.alive, f"{worker.instance}: exit {worker.exit_code}\n{worker.tail()}"
        note = notes(worker).get(partition)
        return note is not None and note.reason == reason and gauge(worker).get(partition) == reason

    def found() -> Worker | None:
        those = [worker for worker in workers if parks(worker)]
        others = [worker for worker in workers if worker not in those]
        alone = len(those) == 1 and not any(partition in gauge(worker) for worker in others)
        return those[0] if alone else None

    return wait_until(found, seconds, f"partition {partition} is parked ({reason})")


def await_all_parked(worker: Worker, partitions: set[int], reason: str, seconds: float = 40):
    """Waits until a worker has nothing but parked partitions: it is not ready, and says so."""
    wanted = dict.fromkeys(partitions, reason)
    wait_until(lambda: gauge(worker) == wanted, seconds, f"all is parked ({reason})", alive=worker)
    wait_until(lambda: "partitions" in unmet(worker), 10, "the condition `partitions` is not met", alive=worker)
    assert worker.get("/readyz")[0] == 503
    assert {partition: note.reason for partition, note in notes(worker).items()} == wanted


def await_flowing(workers: list[Worker], seconds: float = 40):
    """Waits until no partition is parked."""

    def flows(worker: Worker) -> bool:
        assert worker.alive, f"{worker.instance}: exit {worker.exit_code}\n{worker.tail()}"
        return worker.is_ready() and not notes(worker) and not gauge(worker)

    wait_until(lambda: all(flows(worker) for worker in workers), seconds, "no partition is parked")


def accepting(topic: str, partition: int, offset: int | None) -> list[str]:
    """The flag that accepts the gap behind a committed offset; None: the broker holds none."""
    return ["--accept-gap", f"{topic}:{partition}@{'none' if offset is None else offset}"]
