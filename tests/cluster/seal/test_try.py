"""`hourseal try` says what a worker would do with the events, and which settings would take the others; it changes nothing."""

import json

from oracle.events import HOUR_MS, now_ms, rfc3339
from world import Feeder, World

# An hour ago, on the second.
AT = (now_ms() // 1_000 - 3_600) * 1_000
PREFIX = b"\x00\x00\x00\x00\x07"


def event(customer: str, time) -> bytes:
    return json.dumps({"customer_id": customer, "occurred_at": time}).encode()


def tried(world: World, *arguments: str, settings: dict | None = None) -> dict:
    return json.loads(world.cli("try", "--json", *arguments, settings=settings))


def feed(world: World, *values: bytes | None):
    feeder = Feeder(world)
    for value in values:
        feeder.send(0, None, (), value)
    feeder.finish()


def test_what_would_be_sealed_and_quarantined_is_counted_with_examples(kafka, make_world):
    world = make_world(kafka, partitions=1)
    feed(world, event("acme", rfc3339(AT)), event("globex", rfc3339(AT)), b"{", None, b"no JSON", b"{}")
    found = tried(world)
    assert (found["read"], found["sealed"], found["quarantined"]) == (6, 2, 4)
    assert found["customers"] == {"count": 2, "examples": ["acme", "globex"]}
    hour = rfc3339(AT // HOUR_MS * HOUR_MS).replace(".000Z", "Z")
    assert found["hours"] == {"count": 1, "first": hour, "last": hour}
    assert found["reasons"] == {
        "no-customer": {"count": 1, "examples": [f"{world.input}/0/5"]},
        "no-value": {"count": 1, "examples": [f"{world.input}/0/3"]},
        "not-json": {"count": 2, "examples": [f"{world.input}/0/2", f"{world.input}/0/4"]},
    }
    assert found["suggestions"] == []


def test_the_settings_that_it_suggests_seal_what_was_refused(kafka, make_world):
    world = make_world(kafka, partitions=1)
    feed(world, *(PREFIX + event(f"customer-{number}", AT // 1_000) for number in range(3)))
    found = tried(world)
    assert (found["sealed"], list(found["reasons"])) == (0, ["not-json"])
    [suggestion] = found["suggestions"]
    assert suggestion == {"set": {"event.skip": "confluent", "event.time": "json:/occurred_at@epoch-s"}, "seals": 3}

    event_settings = {key.removeprefix("event."): value for key, value in suggestion["set"].items()}
    assert tried(world, settings={"event": event_settings})["sealed"] == 3
    world.worker(settings={"event": event_settings})
    world.await_drained()
    assert sorted(line["customer"] for line in world.opened()) == ["customer-0", "customer-1", "customer-2"]


def test_it_makes_no_files_and_no_topics_and_leaves_no_group(kafka, make_world):
    world = make_world(kafka, partitions=4)
    feed(world, event("acme", rfc3339(AT)))
    assert tried(world)["sealed"] == 1
    made = {path.name for path in world.folder.iterdir()}
    assert made <= {"cli.toml", "cli.log"}, made
    groups = [world.topics.committed(group, world.input) for group in (world.group, "hourseal.scan")]
    assert groups == [{}, {}]
    assert world.topics.admin.list_topics(timeout=20).topics.keys() & {world.output, world.quarantine} == set()


def test_the_newest_events_are_read_or_the_lines_of_a_file(kafka, make_world):
    world = make_world(kafka, partitions=1)
    feed(world, b"{", *(event(f"customer-{number}", rfc3339(AT)) for number in range(4)))
    found = tried(world, "--sample", "3")
    assert (found["read"], found["sealed"], found["customers"]["examples"][0]) == (3, 3, "customer-1")

    file = world.folder / "events.jsonl"
    file.write_bytes(event("acme", rfc3339(AT)) + b"\n" + event("acme", AT) + b"\n")
    found = tried(world, "--file", str(file))
    assert found["reasons"] == {"bad-time": {"count": 1, "examples": ["line 2"]}}
    assert found["suggestions"] == [{"set": {"event.time": "json:/occurred_at@epoch-ms"}, "seals": 1}]


def test_a_customer_with_escapes_is_printed_harmlessly(kafka, make_world):
    world = make_world(kafka, partitions=1)
    feed(world, event("acme\x1b[2J\nread  7", rfc3339(AT)))
    text = world.cli("try")
    assert "\x1b" not in text and len(text.splitlines()) == 5, text
