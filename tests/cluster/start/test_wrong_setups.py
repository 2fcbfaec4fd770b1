"""A newcomer's wrong set-up is told in the first line, with its cause: at once, and by the exit code too."""

import re
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import NamedTuple

import pytest
from children import MountRefused, discard, scrap_folder
from mistakes import MISTAKES, RUNS_ON, Mistake, Place, command
from secured_kafka import PASSWORD, SecuredKafka
from world import World

# A hang guard, not a claim.
LONG = 60
# What a worker logs before it meets the mistake: its steps, that nobody has to sign a command, that it has not read the receipts yet,
# the driver's own lines, and that the broker has just started.
LOGGED = re.compile(r"\S+ +(INFO |WARN .*(code=\"(HS1409|HS1307|HS2001)\"|COORDINATOR_LOAD_IN_PROGRESS))")


class Told(NamedTuple):
    code: int
    first: str
    after: float
    """Seconds until the first line."""
    text: str


def made(at: Place, one: Mistake) -> dict | MountRefused:
    """How its command is called."""
    try:
        settings = {**one.make(at), "log": {"format": "text"}}
    except MountRefused as refused:
        return refused
    return command(at, one, at.world.config("cli", settings=settings))


def told(one: Mistake, how: dict) -> Told:
    begun = time.monotonic()
    with subprocess.Popen(**how, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        lines, first, after = [], "", 0.0
        guard = threading.Timer(LONG, process.kill)
        guard.start()
        for line in process.stderr:
            lines.append(line)
            if not first and not LOGGED.match(line):
                first, after = line, time.monotonic() - begun
                if one.code is RUNS_ON:
                    process.terminate()
        guard.cancel()
    return Told(process.returncode, first.rstrip(), after, "".join(lines))


@pytest.fixture(scope="module")
def tellings():
    """All of them side by side: some wait fifteen seconds for a broker that may still start."""
    folder = scrap_folder("hourseal-wrong-")
    folder.chmod(0o755)
    with ExitStack() as ending, SecuredKafka() as secured, ThreadPoolExecutor(10) as pool:
        ending.callback(discard, folder)

        tellings = {}
        for one in MISTAKES:
            (folder / one.name).mkdir()
            world = World(secured, folder / one.name, one.name.replace("_", "-"))
            ending.callback(world.end)
            how = made(Place(world, secured, ending.callback), one)
            tellings[one.name] = how if isinstance(how, MountRefused) else pool.submit(told, one, how)
        yield tellings


@pytest.mark.parametrize("one", MISTAKES, ids=lambda one: one.name)
def test_the_first_line_names_the_cause_of_a_wrong_setup(tellings, one):
    if isinstance(tellings[one.name], MountRefused):
        pytest.skip(f"NOT TESTED: this host refuses to mount a disk ({tellings[one.name]})")
    it = tellings[one.name].result()
    print(f"{it.after:5.1f} s  {one.name}: {it.first}")
    assert PASSWORD not in it.text and "wrong-5f3a" not in it.text, it.text
    assert it.code == (0 if one.code is RUNS_ON else one.code)
    assert all(words in it.first for words in one.says), it
    # Of a command it is a line, and of a worker a field of its last line.
    hints = re.findall(r'^hint:.*|hint=".*', it.text, re.MULTILINE)
    assert one.hint in "".join(hints), it
