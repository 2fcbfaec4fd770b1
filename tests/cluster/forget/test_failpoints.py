"""Whoever executes dies at any place: what was decided is done once, and told once."""

import signal

import pytest
from children import wait_until
from erasures import outcomes
from executing import AFTER, HOUR, four_customers, send, start, told
from keks import destroyed
from sweeps import sweeps
from world import LONG, World, seeded

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
    return four_customers(kafka, make_world, tmp_path, store)


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
    # Where others die after it, it dies at the first chance: later the story would have passed their places.
    times = 1 if later else seeded().randint(1, FAILPOINTS[first])
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
