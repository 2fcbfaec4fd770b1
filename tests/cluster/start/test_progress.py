"""Long work shows its progress on a terminal: the count, the rate, and the time left if the total is known. The line is cleared
at the end, and nothing of it is written anywhere else."""

import os
import pty
import re
import select
import subprocess
import time

import pytest
from world import RELEASE

ESCAPE = b"\x1b"
CLEARED = b"\x1b[2K"


def on_a_terminal(folder, words: tuple, **variables) -> tuple[int, bytes]:
    """The exit code, and what the command writes to stderr, which is a terminal. stdout is a pipe."""
    terminal, end = pty.openpty()
    env = {key: it for key, it in os.environ.items() if key not in ("NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM")}
    env |= {"TMPDIR": str(folder), "COLUMNS": "120", **variables}
    child = subprocess.Popen([RELEASE, *words], stdout=subprocess.DEVNULL, stderr=end, stdin=end, env=env, cwd=folder)
    os.close(end)
    seen, until = b"", time.monotonic() + 120
    while time.monotonic() < until:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                part = os.read(terminal, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            seen += part
    os.close(terminal)
    return child.wait(30), seen


DEMO = ("demo", "--events", "30000")


def test_the_demo_shows_count_rate_and_time_left_and_clears_the_line(tmp_path):
    code, seen = on_a_terminal(tmp_path, DEMO, TERM="xterm-256color")
    assert code == 0, seen
    shown = re.findall(rb"([\d,]+) of 30,000 events sealed, ([\d.,]+)/s, (\w+) left", seen)
    assert any(float(rate.replace(b",", b"")) > 0 for _, rate, _ in shown), seen
    counts = [int(count.replace(b",", b"")) for count, _, _ in shown]
    assert counts == sorted(counts) and counts[-1] <= 30_000
    # The last thing on the line is that it was cleared.
    assert seen.rstrip(b"\r\n").endswith(CLEARED), seen[-200:]


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"TERM": ""}, {}], ids=["dumb", "empty", "unset"])
def test_a_terminal_that_cannot_clear_a_line_gets_nothing(tmp_path, variables):
    code, seen = on_a_terminal(tmp_path, DEMO, **variables)
    assert code == 0 and ESCAPE not in seen and b"events sealed" not in seen, seen


def test_without_colours_the_line_has_none_and_still_moves(tmp_path):
    """NO_COLOR forbids colours. It says nothing about the cursor."""
    code, seen = on_a_terminal(tmp_path, DEMO, TERM="xterm-256color", NO_COLOR="1")
    assert code == 0 and b"events sealed" in seen
    assert re.search(rb"\x1b\[[\d;]*m", seen) is None, seen


def test_no_terminal_no_progress(tmp_path):
    env = {**os.environ, "TERM": "xterm-256color", "TMPDIR": str(tmp_path), "CLICOLOR_FORCE": "1"}
    done = subprocess.run([RELEASE, *DEMO], capture_output=True, env=env, cwd=tmp_path, timeout=120)
    assert done.returncode == 0 and done.stderr == b"", done.stderr


def test_produce_sample_shows_its_rate(kafka, make_world):
    world = make_world(kafka)
    words = ("produce-sample", "--rate", "500", "--count", "2000", "--config", str(world.config("cli")))
    code, seen = on_a_terminal(world.folder, words, TERM="xterm-256color")
    assert code == 0, seen
    assert re.search(rb"of 2,000 events produced, [\d.,]+/s, \w+ left", seen), seen
    assert seen.rstrip(b"\r\n").endswith(CLEARED), seen[-200:]
    code, seen = on_a_terminal(world.folder, words[:3] + ("--count", "1000") + words[5:], TERM="dumb")
    assert (code, seen) == (0, b"")
