"""`hourseal quarantine ls` finds the records that matter among many: by reason, by time, so many of them, or only counted."""

import json

import pytest
from oracle.events import now_ms, rfc3339
from world import Feeder, World

REASONS = {"bad-time": 5, "no-customer": 3}


@pytest.fixture
def world(kafka, make_world) -> World:
    """Eight quarantined records of two reasons, and one that is sealed."""
    world = make_world(kafka, partitions=1)
    feeder = Feeder(world)
    feeder.send(0, None, (), json.dumps({"customer_id": "acme", "occurred_at": rfc3339(now_ms())}).encode())
    for _ in range(REASONS["bad-time"]):
        feeder.send(0, None, (), b'{"customer_id":"acme","occurred_at":1}')
    for _ in range(REASONS["no-customer"]):
        feeder.send(0, None, (), b"{}")
    feeder.finish()
    world.worker()
    world.await_drained()
    return world


def listed(world: World, *arguments: str) -> list[str]:
    return [line["reason"] for line in world.cli_json("quarantine", "ls", "--json", *arguments)]


def test_records_are_listed_by_reason_and_time_and_so_many(world):
    assert len(listed(world)) == 8
    assert listed(world, "--reason", "no-customer") == ["no-customer"] * 3
    assert len(listed(world, "--reason", "no-customer", "--reason", "bad-time")) == 8
    assert listed(world, "--reason", "no-customer", "--limit", "2") == ["no-customer"] * 2
    assert len(listed(world, "--limit", "100")) == 8
    assert len(listed(world, "--since", "1h")) == 8
    assert listed(world, "--since", rfc3339(now_ms() + 60_000)) == []
    assert "not one of: ambiguous" in world.cli("quarantine", "ls", "--reason", "x", code=64, errors=True)


def test_a_summary_counts_by_reason_without_a_key_store(world):
    elsewhere = {"store": {"kind": "sqlite", "path": "absent.db"}, "kek": {"path": "absent"}}
    summary = json.loads(world.cli("quarantine", "ls", "--summary", "--json", settings=elsewhere))
    assert summary["records"] == 8
    assert {reason: found["records"] for reason, found in summary["reasons"].items()} == REASONS
    found = summary["reasons"]["no-customer"]
    assert (found["without_content"], found["example"]) == (0, f"{world.input}/0/8")
    assert found["first"] <= found["last"] <= rfc3339(now_ms())
    assert not (world.folder / "absent.db").exists() and not (world.folder / "absent").exists()
    text = world.cli("quarantine", "ls", "--summary", "--reason", "bad-time", settings=elsewhere)
    assert "bad-time" in text and "no-customer" not in text


def test_a_customer_that_others_have_named_reaches_no_terminal_raw(world):
    feeder = Feeder(world)
    for time in (rfc3339(now_ms()), "soon"):
        feeder.send(0, None, (), json.dumps({"customer_id": "acme\x1b[2J\nforged", "occurred_at": time}).encode())
    feeder.finish()
    world.await_drained()
    for command in (("keys", "ls"), ("quarantine", "ls"), ("open", "--from-beginning", "--topic", world.output)):
        said = world.cli(*command)
        assert "acme" in said and "\x1b" not in said and "\nforged" not in said, (command, said)
