"""Random faults of the APIs that a worker uses: nothing is lost, doubled, reordered or withdrawn, and nobody ends.

What happened is listed in a file. `HOURSEAL_FAULTS=that-file` plays its faults again, as far as real time allows."""

import json
import os
import time
from pathlib import Path

import pytest
from kafka_faults import Chaos, Replay
from kafka_wire import Request
from oracle.events import job_events
from witness import Witness, assert_nothing_happened
from world import LONG, seeded

RUNS, SECONDS = (20, 60) if LONG else (1, 45)
CHANCE, LONGEST = 0.02, 3.0
RATE = 2_000


class Lanes:
    """Only what workers ask meets faults."""

    def __init__(self, rule):
        self._rule = rule

    async def __call__(self, request: Request):
        return await self._rule(request) if request.client_id.startswith("hourseal") else None


def the_rule(rng):
    if file := os.environ.get("HOURSEAL_FAULTS"):
        return Replay(json.loads(line) for line in Path(file).read_text().splitlines())
    return Lanes(Chaos(rng, CHANCE, LONGEST))


@pytest.mark.parametrize("run", range(RUNS))
def test_random_faults_lose_double_reorder_and_withdraw_nothing(make_proxied_world, proxy, run):
    world = make_proxied_world(partitions=8)
    workers = [world.worker(name, lanes=2) for name in ("w0", "w1")]
    rng = seeded()
    log = proxy.play(the_rule(rng), world.folder / "faults.jsonl")
    try:
        with Witness(world) as witness:
            with world.load(job_events(rng), RATE):
                end = time.monotonic() + SECONDS
                while time.monotonic() < end:
                    for worker in workers:
                        assert worker.alive, f"exit {worker.exit_code}\n{worker.tail()}"
                    time.sleep(0.2)  # the chaos itself
            proxy.rest()
            assert_nothing_happened(world, witness)
            for worker in workers:
                worker.stop()
    except AssertionError as fault:
        raise AssertionError(f"{len(log.lines())} faults, listed in {log.file}\n{fault}") from None
    kinds = {line["kind"] for line in log.lines()}
    print(f"{len(log.lines())} faults of {len(kinds)} kinds")
    assert len(log.lines()) > SECONDS / 3, "hardly anything happened"
