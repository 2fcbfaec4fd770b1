"""The blocks below the embedded key store: of erased keys, nothing is on them. The raw disk is read."""

from itertools import islice
from pathlib import Path

import pytest
from children import MountRefused, mount_image, unmount
from erasures import DUE_SOON, await_receipt, erase, events
from oracle.events import HOUR_MS, now_ms
from world import TESTKIT, World

HOUR = now_ms() // HOUR_MS - 1
GONE = [f"gone-{number}" for number in range(30)]
KEPT = [f"kept-{number}" for number in range(10)]


@pytest.fixture
def disk(tmp_path):
    """A place for an image, and one for the store."""
    return tmp_path / "disk.image"


def mounted(world: World, image: Path) -> Path:
    folder = world.store.path.parent
    folder.mkdir()
    try:
        mount_image(image, folder, 64)
    except MountRefused as why:
        pytest.skip(f"THE DISK BELOW SQLITE WAS NOT READ: this host refuses to mount one ({why})")
    folder.chmod(0o700)
    return folder


def wrapped(world: World) -> dict[str, bytes]:
    """By customer: the key's ciphertext."""
    return {slot.customer.decode(): row.wrapped[26:] for slot, row in world.keys().rows().items()}


def found(image: Path, keys: dict[str, bytes], customers: list[str]) -> int:
    content = image.read_bytes()
    return sum(keys[name] in content for name in customers)


def test_erased_keys_are_on_no_block_of_the_disk(kafka, make_world, disk):
    """Also those that the log held when a process that had it open ended, or was killed."""
    world = make_world(kafka, binary=TESTKIT, settings=DUE_SOON)
    folder = mounted(world, disk)
    world.set_clock(hours=0)
    worker = world.worker()
    keys = {}
    for number, part in enumerate((GONE[:10], GONE[10:20] + KEPT, GONE[20:])):
        for customer in part:
            world.feed(islice(events(customer.encode(), HOUR), 2))
        world.await_drained()
        keys = wrapped(world)
        if number == 0:
            worker.stop()
        else:
            worker.kill()
        worker = world.worker()
    assert len(keys) == len(GONE + KEPT)

    world.set_clock(hours=4)
    for customer in GONE:
        erase(world, f"c-{customer}", HOUR, HOUR, customer)
    for customer in GONE:
        receipt = await_receipt(world, f"c-{customer}")
        assert receipt["outcome"] == "erased", receipt
        assert {"A2", "A3", "A4"} <= set(receipt["assumptions"]), receipt
    worker.stop()
    world.cli("store", "purge")
    unmount(folder, "--force")
    assert found(disk, keys, KEPT) == len(KEPT), "the control: it is looked for where it is"
    assert found(disk, keys, GONE) == 0
