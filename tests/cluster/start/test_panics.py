"""Whatever panics in a worker, thread or task, ends the process with exit code 70 and its name, and stops nobody else."""

from oracle.events import job_events
from world import QUICK_SESSION, TESTKIT, merged_all, seeded

THREADS = ("lane 0", "lane control", "receipts", "watchdog")
ALL_DUTIES = {"ring": {"premint": "10m"}, "retention": {"sweep": "1s"}, "kek": {"destroy": "1s"}}
DUTIES = ("caretaker", "pre-minting", "fail-safe", "scrub", "sweep", "kek destruction")


def test_a_panic_ends_the_process_with_the_name_of_who_panicked(kafka, make_world):
    world = make_world(kafka, binary=TESTKIT, settings=merged_all(QUICK_SESSION, ALL_DUTIES))
    world.feed_some(job_events(seeded()), 500)
    for name in (*THREADS, *DUTIES):
        world.env["HOURSEAL_TESTKIT_PANIC"] = name
        worker = world.worker(ready=False)
        assert worker.wait(30) == 70, f"{name}: {worker.tail()}"
        said = worker.tail()
        assert "a thread or task panicked" in said and ("the executor" if name == "lane control" else name) in said, said
    # Without a panic the same world seals.
    del world.env["HOURSEAL_TESTKIT_PANIC"]
    worker = world.worker()
    world.await_drained()
    worker.stop()
    world.findings().assert_exactly_once()
