"""The canary: sealed, opened, forgotten and shown unopenable by every process; where it still opens, that is said."""

from children import wait_until
from office import Office, ask
from oracle.events import HOUR_MS, now_ms
from world import TESTKIT, World

CANARY = "hourseal-canary-1"
SETTINGS = {"retention": {"default": "24h", "sweep": "1s"}, "canary": {"customer": CANARY}}


def events(worker, outcome: str) -> int:
    return int(worker.figures().sum("canary_events_total", outcome=outcome))


def start(kafka, make_world, tmp_path, store=None, classed: bool = False) -> World:
    world = make_world(kafka, store=store, partitions=4, binary=TESTKIT, settings=SETTINGS)
    world.office = Office(tmp_path / "office", world.binary)
    if classed:
        world.output = f"{world.name}.hour"
        world.office.settings = {**world.office.settings, "topics": {"output": f"{world.name}.sealed", "class": {"1h": world.output}}}
    # In the midst of an hour: what is sealed in it is opened in it.
    world.set_hour(now_ms() // HOUR_MS + 0.5)
    world.workers = [world.worker(name, settings=world.office.settings) for name in ("w0", "w1")]
    for worker in world.workers:
        wait_until(lambda: events(worker, "opened") == 1, 60, "its event is sealed, and opens")  # noqa: B023
    return world


def test_each_process_shows_that_what_it_opened_opens_no_more(kafka, store, make_world, tmp_path):
    world = start(kafka, make_world, tmp_path, store)
    proofs = [worker.figures().sum("canary_last_proof_timestamp_seconds") for worker in world.workers]
    assert {line["outcome"] for line in world.opened()} == {"opened"}
    assert [row["retention_hours"] for row in world.cli_json("retention", "show", "--json") if row["customer"] == CANARY] == [1]

    world.set_hour(now_ms() // HOUR_MS + 3.5)
    for worker, before in zip(world.workers, proofs):
        wait_until(lambda: events(worker, "forgotten") == 1, 60, "it opens no more")  # noqa: B023
        assert worker.figures().sum("canary_last_proof_timestamp_seconds") > before + 2 * 3_600
        wait_until(lambda: events(worker, "opened") == 2, 60, "and the next one is sealed")  # noqa: B023
        assert events(worker, "still-opens") == events(worker, "not-sealed") == 0
        assert "HS1418" in (world.folder / f"{worker.instance}.log").read_text()
    assert sorted(line["outcome"] for line in world.opened()) == ["erased"] * 2 + ["opened"] * 2
    for worker in world.workers:
        worker.stop()


def test_where_it_is_due_and_still_opens_no_process_calls_it_proven(kafka, make_world, tmp_path):
    """The control: a hold keeps it. It is found in its retention class's topic."""
    world = start(kafka, make_world, tmp_path, classed=True)
    hour = world.opened()[0]["hour"]
    about = ("--customer", CANARY, "--hold", "case-1")
    ask(world, "hold", "place", *about, "--from", str(hour), "--to", str(hour), "--sign-with", world.office.key("legal"))
    world.set_hour(hour + 3.5)
    for worker in world.workers:
        wait_until(lambda: events(worker, "still-opens") == 1, 60, "it is said")  # noqa: B023
        assert events(worker, "forgotten") == 0
    both = ("--sign-with", world.office.key("dpo"), "--sign-with", world.office.key("legal"))
    ask(world, "hold", "release", *about, *both)
    for worker in world.workers:
        wait_until(lambda: events(worker, "forgotten") == 1, 60, "after the release it goes")  # noqa: B023
        worker.stop()
