"""`hourseal canary`: an event is sealed, opened, forgotten, and verified to be unreadable; if it still opens, that is reported."""

from children import wait_until
from office import SETTLED, Office, ask
from oracle.events import HOUR_MS, now_ms
from world import TESTKIT, World

CANARY = "hourseal-canary-1"
SETTINGS = {"retention": {"default": "72h", "sweep": "1s"}, "canary": {"customer": CANARY}}


def events(canary, outcome: str) -> int:
    return int(canary.figures().sum("canary_events_total", outcome=outcome))


def start(kafka, make_world, tmp_path, store=None, classed: bool = False) -> World:
    """A worker, and a canary whose retention a signed command has set."""
    world = make_world(kafka, store=store, partitions=4, binary=TESTKIT, settings=SETTINGS)
    world.env |= SETTLED
    world.office = Office(tmp_path / "office", world.binary)
    world.both = ("--sign-with", world.office.key("dpo"), "--sign-with", world.office.key("legal"))
    if classed:
        world.output = f"{world.name}.hour"
        world.office.settings = {**world.office.settings, "topics": {"output": f"{world.name}.sealed", "class": {"1h": world.output}}}
    # In the middle of an hour: an event that is sealed in it is opened in it.
    world.set_hour(now_ms() // HOUR_MS + 0.5)
    world.worker(settings=world.office.settings)
    assert ask(world, "retention", "set", "--customer", CANARY, "--keep", "1h", *world.both)["outcome"] == "retention-set"
    world.canary_process = world.canary(world.office.settings).await_ready(60)
    assert events(world.canary_process, "opened") == 1
    return world


def test_an_event_that_was_opened_can_no_longer_be_opened_when_it_is_due(kafka, store, make_world, tmp_path):
    world = start(kafka, make_world, tmp_path, store)
    canary = world.canary_process
    proven = canary.figures().sum("canary_last_proof_timestamp_seconds")
    assert [line["outcome"] for line in world.opened()] == ["opened"]

    world.set_hour(now_ms() // HOUR_MS + 3.5)
    wait_until(lambda: events(canary, "forgotten") == 1, 60, "it can no longer be opened")
    assert canary.figures().sum("canary_last_proof_timestamp_seconds") > proven + 2 * 3_600
    wait_until(lambda: events(canary, "opened") == 2, 60, "the next one is sealed")
    assert events(canary, "still-opens") == events(canary, "not-sealed") == 0
    assert "HS1418" in (world.folder / "canary.log").read_text()
    assert sorted(line["outcome"] for line in world.opened()) == ["erased", "opened"]
    canary.stop()


def test_if_it_is_due_and_still_opens_nothing_is_called_proven(kafka, make_world, tmp_path):
    """The control: a hold keeps it. It is found in the topic of its retention class."""
    world = start(kafka, make_world, tmp_path, classed=True)
    canary = world.canary_process
    hour = world.opened()[0]["hour"]
    about = ("--customer", CANARY, "--hold", "case-1")
    ask(world, "hold", "place", *about, "--from", str(hour), "--to", str(hour), "--sign-with", world.office.key("legal"))
    world.set_hour(hour + 3.5)
    wait_until(lambda: events(canary, "still-opens") == 1, 60, "it is reported")
    assert events(canary, "forgotten") == 0
    ask(world, "hold", "release", *about, *world.both)
    wait_until(lambda: events(canary, "forgotten") == 1, 60, "after the release it is erased")
    canary.stop()


def test_a_canary_whose_events_are_kept_for_days_does_not_start(kafka, make_world):
    world = make_world(kafka, settings=SETTINGS)
    world.worker().stop()
    canary = world.canary()
    assert canary.wait(30) == 78
    assert "kept for 72 h" in canary.tail() and "retention set" in canary.tail(), canary.tail()
