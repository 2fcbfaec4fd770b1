"""Child processes that never outlive the tests, and waiting by condition instead of by sleep."""

import atexit
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_living: set["Child"] = set()
_scrap: set[Path] = set()
_disks: set[Path] = set()


class Child:
    """A process with its log in a file and its id in another. Whatever ends the tests ends it too."""

    def __init__(self, command, *, log: Path, env=None, cwd=None, before=lambda: None):
        """`before` runs in the child, before it becomes the command."""
        assert threading.current_thread() is threading.main_thread(), "PDEATHSIG follows the thread that forks"
        self.log = log
        parent = os.getpid()
        with open(log, "ab") as out:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
                preexec_fn=lambda: (_die_with(parent), before()),
            )
        self.pid = self._process.pid
        log.with_suffix(".pid").write_text(f"{self.pid}\n")
        _living.add(self)

    @property
    def exit_code(self):
        """None while it runs; -N after signal N."""
        code = self._process.poll()
        if code is not None:
            _living.discard(self)
        return code

    @property
    def alive(self) -> bool:
        return self.exit_code is None

    def send(self, sig: signal.Signals):
        if self.alive:
            os.kill(self.pid, sig)
        if sig == signal.SIGKILL:
            self.wait(10)

    def wait(self, seconds: float) -> int:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"process {self.pid} still runs after {seconds} s\n{self.tail()}") from None
        return self.exit_code

    def end(self, seconds: float = 20):
        """Asks, then insists."""
        if not self.alive:
            return
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
        assert not self.alive

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def tail(self, lines: int = 30) -> str:
        return f"--- end of {self.log.name}\n" + "\n".join(self.text().splitlines()[-lines:])


def _die_with(parent: int):
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def scrap_folder(prefix: str) -> Path:
    """A fresh folder that goes with the tests; HOURSEAL_KEEP=1 keeps it."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    _scrap.add(folder)
    return folder


def discard(folder: Path):
    _scrap.discard(folder)
    if os.environ.get("HOURSEAL_KEEP"):
        print(f"kept {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder, ignore_errors=True)


class MountRefused(Exception):
    """A disk of its own needs root, and a host that lets it mount."""


def mount_disk(folder: Path, megabytes: int):
    """A small disk (a tmpfs) over a folder, until `unmount`."""
    _mount(folder, "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs")


def mount_image(image: Path, folder: Path, megabytes: int):
    """A disk (ext4) over a folder whose blocks can be read in a file, after `unmount(folder, "--force")`."""
    with open(image, "wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True, timeout=60)
    _mount(folder, "-o", "loop", str(image))


def _mount(folder: Path, *arguments: str):
    done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True, timeout=20)
    if done.returncode:
        raise MountRefused(done.stderr.strip())
    _disks.add(folder)


def unmount(folder: Path, how: str = "--lazy"):
    """`how`: --lazy, or --force, which waits until the disk has everything."""
    subprocess.run(["umount", how, str(folder)], check=True, timeout=60)
    _disks.discard(folder)


def _end_all():
    for child in list(_living):
        child.send(signal.SIGKILL)
    for disk in list(_disks):
        unmount(disk)
    for folder in list(_scrap):
        discard(folder)


def _end_all_and_obey(number, _frame):
    _end_all()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


atexit.register(_end_all)
for _number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
    signal.signal(_number, _end_all_and_obey)


def wait_until(condition, seconds: float, what: str, every: float = 0.1, alive: Child | None = None):
    """Polls `condition` until it is true and returns its value. The failure names what was awaited."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if alive is not None and not alive.alive:
            raise AssertionError(f"exit {alive.exit_code} while waiting until {what}\n{alive.tail()}")
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}" + (f"\n{alive.tail()}" if alive else ""))
        time.sleep(every)


def free_ports(count: int, addresses=("127.0.0.1",)) -> list[int]:
    """Ports that are free on all `addresses`, below the range that outgoing connections take theirs from."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randrange(12_000, 32_000)
        if port not in found and all(_is_free(address, port) for address in addresses):
            found.append(port)
    return found


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
