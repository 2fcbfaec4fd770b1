"""Four customers have sealed an hour, and whoever executes what is asked about it dies, or is stopped, at a place of its work."""

from itertools import islice

from erasures import events
from keks import GOING
from office import SETTLED, Office, ask
from oracle.events import HOUR_MS, now_ms
from world import TESTKIT, World

HOUR = now_ms() // HOUR_MS - 1
# An hour after the day of due, and the grace, have ended.
AFTER = ((HOUR + 3) // 24 + 1) * 24 + 1


def four_customers(kafka, make_world, tmp_path, store) -> World:
    world = make_world(kafka, store=store, binary=TESTKIT, settings=GOING)
    world.office = Office(tmp_path / "office", world.binary)
    world.env = {**world.env, **SETTLED}
    # In the hour after theirs, however long other tests have taken since `HOUR` was told.
    world.set_hour(HOUR + 1.4)
    for customer in (b"acme", b"bravo", b"cargo", b"delta"):
        world.feed(islice(events(customer, HOUR), 5))
    return world


def start(world: World, failpoint: str | None = None, name: str = "w0", ready: bool = True, settings: dict | None = None):
    """A worker that dies at `NAME/TIMES`, or is stopped at `NAME/TIMES/stop`; without a place it goes on."""
    world.env.pop("HOURSEAL_TESTKIT_FAILPOINT", None)
    if failpoint:
        world.env["HOURSEAL_TESTKIT_FAILPOINT"] = failpoint
    try:
        return world.worker(name, settings={**world.office.settings, **(settings or {})}, ready=ready)
    finally:
        world.env.pop("HOURSEAL_TESTKIT_FAILPOINT", None)


def send(world: World, id: str, *words: str):
    both = ("--sign-with", world.office.key("dpo"), "--sign-with", world.office.key("legal"))
    ask(world, *words, "--id", id, *both, wait=False)


def told(world: World) -> dict[str, str]:
    """What became of each command; one that has two receipts is an error."""
    found: dict[str, str] = {}
    for receipt in world.receipt_bodies():
        if not receipt["command"].startswith("~"):
            assert receipt["command"] not in found, f"two receipts: {receipt}"
            found[receipt["command"]] = receipt["outcome"]
    return found
