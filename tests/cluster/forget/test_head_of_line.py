"""Trouble that concerns one customer, or commands only, does not stop what does not depend on it."""

import sqlite3
from contextlib import closing
from itertools import islice

import pytest
from children import wait_until
from erasures import await_receipt, erase, events, outcomes
from office import Office, holds
from oracle.events import HOUR_MS, now_ms
from sweeps import await_swept, sweeps
from world import TESTKIT, World

HOUR = now_ms() // HOUR_MS - 1
SWEEPING = {"retention": {"default": "2h", "sweep": "1s"}}
UNSIGNED = {"control": {"require_signatures": False}}


@pytest.fixture
def world(kafka, make_world, tmp_path) -> World:
    """Three customers have sealed an hour; nothing is due yet."""
    world = make_world(kafka, binary=TESTKIT, settings=SWEEPING)
    world.office = Office(tmp_path / "office", world.binary)
    world.set_clock(hours=0)
    for customer in (b"acme", b"bravo", b"cargo"):
        world.feed(islice(events(customer, HOUR), 20))
    return world


def test_sweeps_go_on_while_commands_wait_for_the_trust_store(world):
    office = world.office
    worker = world.worker(settings=office.settings)
    world.await_drained()
    trusted = office.trust.read_text()
    office.trust.write_text(trusted[:-20])

    # Nobody has sent a command: the sweep has its receipt, and the worker says that commands would wait.
    late = events(b"delta", HOUR + 1)
    world.feed(islice(late, 20))
    world.await_drained()
    why = lambda: worker.why_not_ready() or ""  # noqa: E731
    hold = ("hold", "place", "--customer", "acme", "--hold", "case-1", "--from", str(HOUR), "--to", str(HOUR))
    trustless = {"control": {"require_signatures": True}}
    world.set_hour(HOUR + 2.9)
    # By the workers' clock, hours pass until it is carried out.
    sent = ("--sign-with", office.key("legal"), "--valid-for", "1d", "--no-wait")
    world.cli(*hold, *sent, settings=trustless)
    wait_until(lambda: "cannot be used" in why(), 30, "it says why commands wait")

    # A command waits: the hours of its customer stay, those of others go.
    world.set_hour(HOUR + 3.5)
    gone = lambda: outcomes(world, "bravo", HOUR) == outcomes(world, "cargo", HOUR) == {"erased"}  # noqa: E731
    wait_until(gone, 60, "what is due is erased", every=1)
    assert outcomes(world, "acme", HOUR) == {"opened"}
    assert "cannot be used" in why() and holds(world) == set()

    # Calls that were written after the waiting batch are carried out, too.
    world.set_hour(HOUR + 4.5)
    wait_until(lambda: outcomes(world, "delta", HOUR + 1) == {"erased"}, 60, "a later hour is erased", every=1)
    assert outcomes(world, "acme", HOUR) == {"opened"} and sweeps(world) == [], "receipts keep the topic's order"

    office.trust.write_text(trusted)
    wait_until(lambda: holds(world) == {"case-1"}, 30, "the command is done")
    swept = await_swept(world, 3)
    assert len(swept) == len(set(swept)) == 3
    assert outcomes(world, "acme", HOUR) == {"opened"}, "the hold came before the sweep"
    wait_until(worker.is_ready, 30, "it is ready again")
    worker.stop()


def test_without_a_command_that_waits_each_sweep_has_its_receipt(world):
    worker = world.worker(settings=world.office.settings)
    world.await_drained()
    world.office.trust.write_text("{")
    world.set_hour(HOUR + 3.5)
    assert len(await_swept(world, 3)) == 3
    wait_until(lambda: "cannot be used" in (worker.why_not_ready() or ""), 30, "commands would wait")
    worker.stop()


def test_an_unusable_row_stops_its_customers_commands_and_nobody_elses(world):
    worker = world.worker(settings=UNSIGNED)
    world.await_drained()
    token = {key["customer"]: key["token"] for key in world.cli_json("keys", "ls", "--json")}
    with closing(sqlite3.connect(world.store.path, isolation_level=None, timeout=30)) as raw:
        raw.execute("UPDATE key SET state = 9 WHERE token = ?", (bytes.fromhex(token["acme"]),))
    world.set_hour(HOUR + 3.5)
    erase(world, "c-1", HOUR, HOUR)
    erase(world, "c-2", HOUR, HOUR, customer="bravo")
    stopped = await_receipt(world, "c-1")
    assert (stopped["outcome"], stopped["why"], stopped["keys"]) == ("incomplete", "unusable", [])
    assert await_receipt(world, "c-2")["outcome"] in {"erased", "nothing-to-erase"}, "a sweep may have been first"
    assert token["cargo"] in {hour.token for hour in await_swept(world, 1)}, "a sweep leaves out only that row"

    with closing(sqlite3.connect(world.store.path, isolation_level=None, timeout=30)) as raw:
        raw.execute("UPDATE key SET state = 1 WHERE token = ?", (bytes.fromhex(token["acme"]),))
    wait_until(lambda: outcomes(world, "acme", HOUR) == {"erased"}, 30, "the repaired row is swept", every=1)
    worker.stop()
