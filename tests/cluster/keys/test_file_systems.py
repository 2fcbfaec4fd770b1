"""A vault on a file system that refuses a rename with flags, as NFS and CephFS do: it is created, whole, and the same for all."""

import errno
import os
import subprocess
import time
from pathlib import Path

import pytest
from memory import LINKAT, RENAMEAT2, refusing
from oracle.events import job_events
from world import RELEASE, World, seeded

# What Linux answers to a rename with flags: NFS and CephFS, an old kernel, some FUSE file systems.
REFUSALS = [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP]
EVENTS = 500


def keygen(folder: Path, before) -> subprocess.CompletedProcess:
    """It writes a private file in the same way as the vault does."""
    command = [RELEASE, "keygen", "key.pem"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, preexec_fn=before)


def drafts(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*.draft-*")]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: errno.errorcode[error])
def test_a_private_file_is_created_once_without_a_rename_that_takes_flags(tmp_path, error):
    made = keygen(tmp_path, refusing(error, RENAMEAT2))
    assert made.returncode == 0, made.stderr
    file = tmp_path / "key.pem"
    found, text = file.stat(), file.read_bytes()
    assert (found.st_mode & 0o777, found.st_nlink, drafts(tmp_path)) == (0o600, 1, [])
    again = keygen(tmp_path, refusing(error, RENAMEAT2))
    assert again.returncode != 0 and "already exists" in again.stderr, again.stderr
    assert file.read_bytes() == text


def test_where_links_are_refused_too_both_attempts_are_named(tmp_path):
    """The control: the filter is obeyed."""
    refused = keygen(tmp_path, refusing(errno.EINVAL, RENAMEAT2, LINKAT))
    assert refused.returncode == 74, refused.stderr
    assert "key.pem" in refused.stderr and "rename" in refused.stderr and "hard link" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_two_workers_share_a_vault_where_a_rename_takes_no_flags(kafka, make_world):
    world: World = make_world(kafka, settings={"kek": {"shared": True}})
    before = refusing(errno.EINVAL, RENAMEAT2)
    workers = [world.worker(name, ready=False, before=before) for name in ("w0", "w1")]
    for worker in workers:
        worker.await_ready()
    world.feed_some(job_events(seeded()), EVENTS)
    world.await_drained()
    for worker in workers:
        worker.stop()
    world.findings().assert_exactly_once()
    assert drafts(world.folder) == []
    names = [path for path in world.vault.rglob("*.kek")]
    assert names and all(path.stat().st_nlink == 1 for path in names)


def test_drafts_that_a_killed_process_left_are_removed_after_an_hour(kafka, make_world):
    """A second name of a KEK goes without harm to the KEK. The bytes of any other draft are overwritten."""
    world: World = make_world(kafka)
    events = job_events(seeded())
    worker = world.worker()
    world.feed_some(events, EVENTS)
    world.await_drained()
    worker.stop()
    kek = next(path for path in world.vault.rglob("*.kek"))
    day = kek.parent
    twin, old, new, other = (
        day / name
        for name in ("a.draft-00112233445566aa", "b.draft-00112233445566bb", "c.draft-00112233445566cc", "d.draft-x")
    )
    os.link(kek, twin)
    for path in (old, new, other):
        path.write_bytes(b"secret")
        path.chmod(0o600)
    witness, whole = open(old, "rb"), kek.read_bytes()
    hour_ago = time.time() - 3_700
    for path in (twin, old, other):
        os.utime(path, (hour_ago, hour_ago))
    worker = world.worker()
    assert not twin.exists() and not old.exists() and new.exists() and other.exists()
    assert kek.read_bytes() == whole
    assert witness.read() == bytes(len(b"secret")), "it was only removed"
    worker.stop()
    world.findings().assert_exactly_once()
