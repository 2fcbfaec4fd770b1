"""Random markers in payload, key and headers: found in the input topic's segments, and nowhere else."""

import base64
import os
from itertools import count
from pathlib import Path

from oracle.events import Event, now_ms, rfc3339
from world import Feeder, World

EVENTS = 1_000
NOISY = {"log": {"level": "trace"}}


def disguises(marker: bytes) -> dict[str, bytes]:
    """The marker as it is, and as a log line or a JSON field might show it."""
    shapes = {"plain": marker, "hex": marker.hex().encode(), "debug list": b", ".join(b"%d" % byte for byte in marker)}
    for shift in range(3):  # base64 depends on where the marker begins
        text = base64.b64encode(bytes(shift) + marker)
        shapes[f"base64+{shift}"] = text[4 if shift else 0 : -4]
    return shapes


def marked(marker: bytes, serial: int) -> tuple[bytes, bytes, tuple]:
    """A key, a header name and a header value that carry the marker."""
    mark = b"%s-%d" % (marker, serial)
    return mark, mark, ((b"h", mark), (mark, b"v"))


def events(marker: bytes):
    for serial in count():
        key, mark, headers = marked(marker, serial)
        at = now_ms() - 1_000
        payload = b'{"customer_id":"acme","occurred_at":"%s","secret":"%s"}' % (rfc3339(at).encode(), mark)
        yield Event(b"acme", at, key, headers, payload)


def bad_values(marker: bytes) -> list[bytes | None]:
    """Each of them makes a careless parser quote what it read."""
    time = rfc3339(now_ms()).encode()
    return [
        marker,
        b'{"customer_id":"acme","occurred_at":"%s"}' % marker,
        b'{"customer_id":"acme","occurred_at":"%s","%s":}' % (time, marker),
        b'{"customer_id":{"%s":1},"occurred_at":"%s"}' % (marker, time),
        b'{"customer_id":"acme","%s":"%s"}' % (marker, marker),
        b'{"customer_id":"~%s","occurred_at":"%s"}' % (marker, time),
        b"\xff" + marker,
        None,
    ]


def files_with(needles: list[bytes], *roots: Path) -> set[Path]:
    files = [file for root in roots for file in root.rglob("*") if file.is_file()]
    assert files
    found = set()
    for file in files:
        content = file.read_bytes()
        if any(needle in content for needle in needles):
            found.add(file)
    return found


def test_plaintext_is_in_the_input_and_in_no_other_file_log_or_metric(own_kafka, make_world):
    world: World = make_world(own_kafka, settings=NOISY)
    marker = b"canary" + os.urandom(9).hex().encode()
    needles = list(disguises(marker).values())
    world.feed_some(events(marker), EVENTS)
    feeder = Feeder(world)
    for value in bad_values(marker):
        key, _, headers = marked(marker, 0)
        feeder.send(0, key, headers, value)
    feeder.finish()
    worker = world.worker(lanes=2)
    world.await_drained()
    told = worker.metrics() + worker.get("/readyz")[1] + worker.get("/livez")[1]
    worker.kill()  # the store's journal and the broker's files stay as they are in the midst of work
    world.worker(lanes=2).stop()
    world.findings().assert_exactly_once()
    assert len(world.topics.read(world.quarantine)) == len(bad_values(marker))

    (data,) = own_kafka.data_dirs
    leaks = files_with(needles, data, world.folder, own_kafka.folder)
    input_logs = {file for partition in range(8) for file in (data / f"{world.input}-{partition}").glob("*.log")}
    assert leaks & input_logs, "the control: the markers are in the input's segments"
    assert not leaks - input_logs, leaks - input_logs
    assert not any(needle.decode() in told for needle in needles)


def test_a_marker_is_found_in_every_disguise():
    """The search itself: what it must find, it finds."""
    marker = b"canary0123456789abcdef"
    needles = disguises(marker)
    around = b"before " + marker + b" after"
    for shift in range(3):
        shown = base64.b64encode(bytes(shift) + around)
        assert any(needle in shown for needle in needles.values()), shift
    assert needles["hex"] in around.hex().encode()
    assert needles["debug list"] in str(list(around)).encode()
