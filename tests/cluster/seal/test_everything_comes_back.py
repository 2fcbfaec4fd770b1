"""The oracle: another client, another language, another implementation of the format recovers every event."""

from itertools import islice

from oracle.events import job_events, raw_events
from world import LONG, seeded

EVENTS = 200_000 if LONG else 60_000
OTHERS = 0o077


def test_every_event_comes_back_byte_for_byte_in_order_and_in_its_slot(world):
    """200 customers (skewed), half of the events late by up to 30 h, 8 partitions, 2 workers of 2 lanes."""
    events = job_events(seeded())
    world.feed(islice(events, EVENTS // 2))
    workers = [world.worker("w0", lanes=2), world.worker("w1", lanes=2)]
    world.feed(islice(events, EVENTS // 2))
    world.await_drained(180)
    for worker in workers:
        worker.stop()

    findings = world.findings()
    findings.assert_exactly_once()
    assert findings.records == EVENTS
    assert len({slot.customer for slot in findings.key_ids}) == 200
    assert len({slot.hour for slot in findings.key_ids}) >= 30
    assert world.topics.read(world.quarantine) == []
    minted = world.keys().rows()
    assert {slot: {minted[slot].key_id} for slot in findings.key_ids} == findings.key_ids


def test_events_that_are_no_json_come_back_byte_for_byte_too(kafka, make_world):
    """Customer from a header, time from the record: null, empty and binary payloads, repeated and null headers."""
    extraction = {"event": {"customer": "header:customer", "time": "timestamp"}}
    world = make_world(kafka, settings=extraction)
    world.feed_some(raw_events(seeded()), 20_000, stamped=True)
    worker = world.worker(lanes=2)
    world.await_drained()
    worker.stop()
    world.findings().assert_exactly_once()


def test_the_worker_makes_its_folders_for_its_owner_only(world):
    world.worker().stop()
    for secret in (world.vault, world.vault / "vault", world.root_key_file):
        assert secret.stat().st_mode & OTHERS == 0, f"{secret.name} is open to others"


def test_the_worker_makes_its_topics_as_they_must_be(world):
    world.worker().stop()
    settings = {topic: world.topics.settings(topic) for topic in (world.output, world.quarantine, world.receipts)}
    assert all("compact" not in of["cleanup.policy"] for of in settings.values())
    assert settings[world.output]["message.timestamp.type"] == "CreateTime"
    assert settings[world.receipts]["message.timestamp.type"] == "LogAppendTime"
    assert settings[world.receipts]["retention.ms"] == "-1"
    assert world.topics.partitions(world.control) == world.topics.partitions(world.receipts) == 1
