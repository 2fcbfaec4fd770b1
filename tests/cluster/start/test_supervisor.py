"""What a worker tells systemd and other supervisors, as sd_notify(3) says: a real Unix socket listens for it."""

import json
import signal
import socket
import time
from pathlib import Path

import pytest
from children import wait_until
from world import BRISK

USEC = 2_000_000


class Systemd:
    """Receives what a service says."""

    def __init__(self, name: str):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.socket.settimeout(0.05)
        self.said: list[str] = []

    def hear(self) -> list[str]:
        """All lines so far."""
        while True:
            try:
                self.said += self.socket.recv(65_536).decode().split("\n")
            except TimeoutError:
                return self.said

    def has_heard(self, line: str, since: int = 0) -> bool:
        return any(said.startswith(line) for said in self.hear()[since:])

    def await_line(self, worker, line: str, since: int = 0):
        wait_until(lambda: self.has_heard(line, since), 40, f"{line} is said", alive=worker)


def ports(tmp_path: Path) -> list[str]:
    return [str(tmp_path / "notify"), f"@hourseal-{tmp_path}"]


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_systemd_hears_ready_status_watchdog_reload_and_stop(kafka, make_world, tmp_path, kind):
    name = ports(tmp_path)[kind == "abstract"]
    systemd, world = Systemd(name), make_world(kafka, settings=BRISK)
    world.env |= {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": str(USEC)}
    worker = world.worker()
    systemd.await_line(worker, "STATUS=ready")
    said = systemd.hear()
    assert said.index("READY=1") >= 0
    assert any(line.startswith("STATUS=not ready: ") for line in said[: said.index("STATUS=ready")])
    since = len(said)
    for _ in range(3):
        systemd.await_line(worker, "WATCHDOG=1", since)
        since = len(systemd.hear())

    worker.send(signal.SIGHUP)
    systemd.await_line(worker, "READY=1", since)
    reload = systemd.hear()[since:]
    reload = [line for line in reload if not line.startswith(("WATCHDOG", "STATUS"))]
    assert reload[0] == "RELOADING=1" and reload[2] == "READY=1"
    assert abs(int(reload[1].removeprefix("MONOTONIC_USEC=")) - time.monotonic() * 1e6) < 60e6

    since = len(systemd.hear())
    worker.stop()
    assert systemd.has_heard("STOPPING=1", since)


def test_a_frozen_worker_gives_no_sign_of_life(kafka, make_world, tmp_path):
    """The control of the watchdog: systemd would end it now."""
    name = ports(tmp_path)[0]
    systemd, world = Systemd(name), make_world(kafka, settings=BRISK)
    world.env |= {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": str(USEC)}
    worker = world.worker()
    systemd.await_line(worker, "WATCHDOG=1")
    worker.pause()
    since = len(systemd.hear())
    time.sleep(2 * USEC / 1e6)
    assert not systemd.has_heard("", since)
    worker.resume()
    systemd.await_line(worker, "WATCHDOG=1", since)


def test_without_a_supervisor_nothing_is_said(kafka, make_world, tmp_path):
    """The control: a worker that was not told of the socket, and one whose watchdog is another process's."""
    name = ports(tmp_path)[0]
    systemd, world = Systemd(name), make_world(kafka, settings=BRISK)
    world.worker().stop()
    assert systemd.hear() == []
    world.env |= {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": str(USEC), "WATCHDOG_PID": "1"}
    worker = world.worker()
    systemd.await_line(worker, "STATUS=ready")
    worker.stop()
    assert systemd.has_heard("READY=1") and not systemd.has_heard("WATCHDOG=1")


def test_a_supervisor_that_is_away_costs_one_line(kafka, make_world, tmp_path):
    world = make_world(kafka, settings=BRISK)
    world.env |= {"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": str(USEC)}
    worker = world.worker()
    worker.stop()
    codes = [json.loads(line).get("code") for line in worker.text().splitlines()]
    assert codes.count("HS1013") == 1
