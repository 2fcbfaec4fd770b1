"""Whoever executes is stopped within a command and goes on late: it undoes nothing of what another one did meanwhile."""

import signal

import pytest
from children import wait_until
from erasures import outcomes
from executing import AFTER, HOUR, four_customers, send, start, told
from keks import destroyed
from office import holds
from world import LONG, World

# It hears of its replacement with the next heartbeat, so that it goes on with what it was at for long enough to do harm.
UNAWARE = {"kafka": {"consumer": {"session.timeout.ms": "45000", "heartbeat.interval.ms": "30000"}}}
# Each with the command that the zombie is stopped in, and what is asked for after another has taken over.
LATE = {
    "fenced": "c-erase",
    "decided": "c-hold",
    "marked-lifted": "c-release",
    "retention-ruled": "c-keep",
    "rewrap": "c-keep",
}
# A run of minutes has one for each kind of command.
STOPPED = [name for name in LATE if LONG or name != "rewrap"]


@pytest.fixture
def world(kafka, store, make_world, tmp_path) -> World:
    return four_customers(kafka, make_world, tmp_path, store)


def is_stopped(worker) -> bool:
    stat = open(f"/proc/{worker.pid}/stat").read()
    return stat.rsplit(")", 1)[1].split()[0] == "T"


def late(world: World, name: str):
    """One that was stopped within a command and goes on after another has ended it, and done what it would undo; and that one."""
    zombie = start(world, f"{name}/1/stop", settings=UNAWARE)
    world.await_drained()
    about = lambda customer: ("--customer", customer)  # noqa: E731
    hours = ("--from", str(HOUR), "--to", str(HOUR))
    if name == "marked-lifted":
        send(world, "c-place", "hold", "place", *about("delta"), *hours, "--hold", "case-2")
        wait_until(lambda: told(world) == {"c-place": "hold-placed"}, 30, "the hold is placed")
    command = LATE[name]
    words = {
        "c-erase": ("erase", "request", *about("acme"), *hours, "--reason", "request"),
        "c-hold": ("hold", "place", *about("bravo"), *hours, "--hold", "case-1"),
        "c-release": ("hold", "release", *about("delta"), "--hold", "case-2"),
        "c-keep": ("retention", "set", *about("cargo"), "--keep", "1h"),
    }
    send(world, command, *words[command])
    wait_until(lambda: is_stopped(zombie), 30, "it is stopped")
    # Of the same name: it takes the place at once, however long the other one's session lasts.
    heir = start(world, name="w1", ready=False, settings={"instance": "w0"})
    wait_until(lambda: command in told(world), 90, "another one ends what it began", alive=heir)

    # What would be undone by one that goes on late.
    send(world, "c-after-keep", "retention", "set", *about("cargo"), "--keep", "240h")
    send(world, "c-after-hold", "hold", "place", *about("delta"), *hours, "--hold", "case-9")
    done = {"c-after-keep": "retention-set", "c-after-hold": "hold-placed"}
    if command == "c-hold":
        send(world, "c-after-release", "hold", "release", *about("bravo"), "--hold", "case-1")
        done["c-after-release"] = "hold-released"
    wait_until(lambda: done.items() <= told(world).items(), 60, "that is done", alive=heir)
    zombie.send(signal.SIGCONT)
    return zombie, heir


# On a server: a process that is stopped within a write of SQLite keeps the file's lock, and nobody takes over.
@pytest.mark.parametrize("store", ["cql", "quorum"] if LONG else ["cql"], indirect=True)
@pytest.mark.parametrize("name", STOPPED)
def test_a_worker_that_is_stopped_there_and_goes_on_late_undoes_nothing(world, name):
    zombie, heir = late(world, name)
    before = told(world)
    # It has to find out by itself that it executes no more: it joins again, or ends.
    wait_until(lambda: not zombie.alive or zombie.is_ready(), 60, "it is what it is")
    assert holds(world) == {"case-9"}, "what was lifted stays lifted, what is held is held"
    (cargo,) = world.cli_json("retention", "show", "--customer", "cargo", "--json")
    assert cargo["retention_hours"] == 240

    world.set_hour(AFTER)
    wait_until(lambda: destroyed(world), 60, "the KEK of the day is destroyed", alive=heir)
    assert told(world) == before, "nobody has a second receipt"
    expected = {"acme": {"erased"}, "bravo": {"erased"}, "cargo": {"opened"}, "delta": {"opened"}}
    assert {name: outcomes(world, name, HOUR) for name in expected} == expected
    heir.stop()
    # It may be ending by itself: a lane looks for five seconds at an offset that it did not commit.
    if zombie.alive:
        zombie.send(signal.SIGTERM)
    assert zombie.wait(30) in (0, 69), zombie.tail()


@pytest.mark.parametrize("store", ["cql"], indirect=True)
def test_one_that_does_not_look_puts_back_what_was_lifted_meanwhile(world):
    """The negative control."""
    with world.without("late-marks"):
        zombie, heir = late(world, "decided")
    wait_until(lambda: holds(world) == {"case-1", "case-9"}, 60, "the hold that was lifted is there again")
    for worker in (zombie, heir):
        worker.kill()
