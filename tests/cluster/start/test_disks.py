"""Files that cannot be written: a process ends at once with the path and the reason, and a full disk is named while it waits."""

import os
import shutil
import subprocess

import pytest
from children import MountRefused, discard, mount_disk, scrap_folder, unmount
from world import RELEASE

NOBODY = 65_534


@pytest.fixture
def disk():
    """A small one, which every user reaches."""
    folder = scrap_folder("hourseal-disk-")
    folder.chmod(0o755)
    try:
        mount_disk(folder, 4)
    except MountRefused as why:
        pytest.skip(f"DISKS WERE NOT TESTED: this host refuses to mount one ({why})")
    yield folder
    unmount(folder)
    discard(folder)


def hourseal(folder, *arguments: str, **how) -> tuple[int, str]:
    """Exit code, and what is printed. Nobody listens at its broker."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("HOURSEAL")}
    line = [RELEASE, *arguments, "--bootstrap", "127.0.0.1:9"]
    done = subprocess.run(line, cwd=folder, env=env, capture_output=True, timeout=90, text=True, **how)
    return done.returncode, done.stdout + done.stderr


RUN = ["run", "--set", "admin.listen=127.0.0.1:0"]


def refuses_at_once(folder, command: list[str], path: str, why: str, **how):
    code, said = hourseal(folder, *command, **how)
    assert code == 78 and path in said and why in said, said
    assert "retrying" not in said and "waiting" not in said, said


@pytest.mark.parametrize("command", [["keys", "ls"], ["open"], RUN, ["store", "init"]], ids=lambda words: words[0])
def test_a_read_only_disk_ends_a_command_at_once(disk, command):
    assert hourseal(disk, "store", "init")[0] == 0
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    path = "hourseal-kek" if command[0] in ("run", "store") else "hourseal-data"
    refuses_at_once(disk, command, path, "Read-only file system")


def test_a_read_only_disk_without_a_store_ends_a_worker_at_once(disk):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    refuses_at_once(disk, RUN, "hourseal-kek", "Read-only file system")


def test_files_of_another_user_are_named_with_their_owner(disk):
    """Root has opened the store once, and the worker is another user."""
    disk.chmod(0o777)
    assert hourseal(disk, "store", "init", user=NOBODY)[0] == 0
    assert hourseal(disk, "keys", "ls", user=NOBODY)[0] == 0
    for path in ["hourseal-data/keys.db", "hourseal-root.key", "hourseal-data"]:
        shutil.chown(disk / path, 0)
        refuses_at_once(disk, ["keys", "ls"], path, "it belongs to user 0 (mode 0", user=NOBODY)
        shutil.chown(disk / path, NOBODY)
    log = disk / "hourseal-data" / "keys.db-wal"
    assert log.exists(), "no process deletes it"
    shutil.chown(log, 0)
    refuses_at_once(disk, ["keys", "ls"], "keys.db-wal", "it belongs to user 0 (mode 0600)", user=NOBODY)
