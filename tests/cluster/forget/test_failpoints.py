"""Whoever executes dies at any place, or is stopped there and goes on late: what was decided is done once, and told once."""

import signal
from itertools import islice

import pytest
from children import wait_until
from erasures import events, outcomes
from keks import GOING, destroyed
from office import SETTLED, Office, ask, holds
from oracle.events import HOUR_MS, now_ms
from sweeps import sweeps
from world import LONG, TESTKIT, World, seeded

HOUR = now_ms() // HOUR_MS - 1
AFTER = ((HOUR + 3) // 24 + 1) * 24 + 1

# Each with how often the story below reaches it at least.
FAILPOINTS = {
    "decided": 5,
    "fenced": 1,
    "erased": 1,
    "held": 2,
    "marked-lifted": 1,
    "released": 1,
    "retention-floored": 2,
    "retention-ruled": 2,
    "rewrap": 2,
    "retention-made": 1,
    "retention-settled": 1,
    "sweep-decided": 1,
    "sweep-forgotten": 1,
    "kek-decided": 1,
    "kek-closed": 1,
    "kek-rewrapped": 1,
    "kek-gone": 1,
    "kek-destroyed": 1,
    "sent": 7,
    "committed": 3,
}
SEEDS = 20 if LONG else 1
# Where one worker after the other dies: until every command is done, and when the day has ended. The long tier has them die once,
# wherever it is; a run of minutes has every place in three stories, each as a story comes to it.
DEATHS = [
    (["decided", "held", "retention-ruled", "marked-lifted", "retention-made"], ["sweep-forgotten", "kek-decided", "kek-destroyed"]),
    (["fenced", "retention-floored", "rewrap", "released", "retention-settled"], ["sweep-decided", "kek-closed", "kek-gone"]),
    (["erased", "sent", "committed"], ["kek-rewrapped"]),
]
assert sorted(name for before, afterwards in DEATHS for name in before + afterwards) == sorted(FAILPOINTS)
if LONG:
    DEATHS = [([], [name]) for name in FAILPOINTS]


@pytest.fixture
def world(kafka, store, make_world, tmp_path) -> World:
    """Four customers have sealed an hour."""
    world = make_world(kafka, store=store, binary=TESTKIT, settings=GOING)
    world.office = Office(tmp_path / "office", world.binary)
    world.env = {**world.env, **SETTLED}
    # In the hour after theirs, however long other tests have taken since `HOUR` was told.
    world.set_hour(HOUR + 1.4)
    for customer in (b"acme", b"bravo", b"cargo", b"delta"):
        world.feed(islice(events(customer, HOUR), 5))
    return world


# It hears of its replacement with the next heartbeat, so that it goes on with what it was at for long enough to do harm.
UNAWARE = {"kafka": {"consumer": {"session.timeout.ms": "45000", "heartbeat.interval.ms": "30000"}}}


def start(world: World, failpoint: str | None = None, name: str = "w0", ready: bool = True, settings: dict | None = None):
    world.env.pop("HOURSEAL_TESTKIT_FAILPOINT", None)
    if failpoint:
        world.env["HOURSEAL_TESTKIT_FAILPOINT"] = failpoint
    try:
        return world.worker(name, settings={**world.office.settings, **(settings or {})}, ready=ready)
    finally:
        world.env.pop("HOURSEAL_TESTKIT_FAILPOINT", None)


def is_stopped(worker) -> bool:
    stat = open(f"/proc/{worker.pid}/stat").read()
    return stat.rsplit(")", 1)[1].split()[0] == "T"


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


ASKED = {
    "c-erase": "erased",
    "c-hold": "hold-placed",
    "c-keep": "retention-set",
    "c-hold-2": "hold-placed",
    "c-release": "hold-released",
}


def ask_for_everything(world: World):
    about = lambda customer: ("--customer", customer)  # noqa: E731
    hours = ("--from", str(HOUR), "--to", str(HOUR))
    send(world, "c-erase", "erase", "request", *about("acme"), *hours, "--reason", "request")
    send(world, "c-hold", "hold", "place", *about("bravo"), *hours, "--hold", "case-1")
    send(world, "c-keep", "retention", "set", *about("cargo"), "--keep", "240h")
    send(world, "c-hold-2", "hold", "place", *about("delta"), *hours, "--hold", "case-2")
    send(world, "c-release", "hold", "release", *about("delta"), "--hold", "case-2")


@pytest.mark.parametrize("store", ["file", "cql", "quorum"] if LONG else ["file"], indirect=True)
@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize(("before", "afterwards"), DEATHS, ids=[(before + afterwards)[0] for before, afterwards in DEATHS])
def test_a_worker_that_dies_is_followed_by_one_that_ends_what_it_began(world, before, afterwards, seed):
    first, *later = before + afterwards
    times = seeded().randint(1, FAILPOINTS[first])
    # It may die before it is ready: a first commit is one of no command.
    worker = start(world, f"{first}/{times}", ready=False)
    print(f"it dies at {first}/{times}, and those who follow at {later}")
    deaths = []

    def until(condition, seconds: float, what: str):
        def look():
            nonlocal worker
            if not worker.alive:
                deaths.append(worker.exit_code)
                worker = start(world, later.pop(0), ready=False) if later else start(world)
            return condition()

        return wait_until(look, seconds, what, every=0.1)

    until(lambda: worker.is_ready(), 60, "it is ready")
    until(lambda: world.lag() == 0, 60, "the input is sealed")
    ask_for_everything(world)
    until(lambda: told(world) == ASKED, 60, f"every command has its receipt ({first}/{times})")
    until(lambda: len(deaths) >= len(before), 20, f"they die at {before}")
    world.set_hour(AFTER)
    (day,) = until(lambda: destroyed(world), 60, f"the KEK of the day is destroyed ({first}/{times})")
    # The last failpoints come after that receipt.
    if afterwards == ["committed"]:
        wait_until(lambda: deaths or not worker.alive, 20, "it dies", every=0.1)
        until(lambda: worker.alive, 20, "it is followed")
    assert deaths == [-signal.SIGKILL] * len(before + afterwards), f"{first}/{times}"
    until(lambda: worker.figures().sum("ended_keks", state="free") == 0, 40, "nothing is left to destroy")

    assert told(world) == ASKED and destroyed(world) == [day] and day["held_keys"] == 1
    swept = [hour for _, hours in sweeps(world) for hour in hours]
    assert len(swept) == 1 and swept[0].key_count == 1, "delta's hour, once"
    assert {name: outcomes(world, name, HOUR) for name in ("acme", "bravo", "cargo", "delta")} == {
        "acme": {"erased"},
        "bravo": {"opened"},
        "cargo": {"opened"},
        "delta": {"erased"},
    }
    worker.stop()


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
    for worker in (zombie, heir):
        if worker.alive:
            worker.stop()


@pytest.mark.parametrize("store", ["cql"], indirect=True)
def test_one_that_does_not_look_puts_back_what_was_lifted_meanwhile(world):
    """The negative control."""
    with world.without("late-marks"):
        zombie, heir = late(world, "decided")
    wait_until(lambda: holds(world) == {"case-1", "case-9"}, 60, "the hold that was lifted is there again")
    for worker in (zombie, heir):
        worker.kill()
