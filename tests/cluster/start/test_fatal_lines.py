"""A `run` that fails after its settings were read logs the reason in the chosen format: every line on stderr is one JSON object
with a code, and the last one has the exit code and the hint."""

import re
import socket
from contextlib import closing

import pytest
from children import free_ports
from logs import faults, parsed
from oracle.events import job_events
from world import QUICK_SESSION, TESTKIT, World, seeded

GAVE_UP, PANICKED, IGNORED = "HS1006", "HS1014", "HS1015"


def failed(world: World, code: int, **how) -> list[dict]:
    """The lines of a worker that ends with this exit code."""
    before = len(world.folder.joinpath("w0.log").read_text()) if (world.folder / "w0.log").exists() else 0
    worker = world.worker(ready=False, **how)
    assert worker.wait(90) == code, worker.tail()
    lines = parsed(worker.text()[before:])
    assert faults(lines) == []
    return lines


def assert_told(lines: list[dict], code: int, *words: str):
    """The last line names the reason and says how to fix it."""
    last = lines[-1]
    assert (last["code"], last["level"], last["exit"]) == (GAVE_UP, "ERROR", code), last
    told = f"{last['message']} {last.get('hint', '')}"
    assert [word for word in words if word not in told] == [], last


def test_a_broker_that_is_away(kafka, make_world):
    world = make_world(kafka)
    lines = failed(world, 69, settings={"kafka": {"bootstrap": f"127.0.0.1:{free_ports(1)[0]}"}})
    assert_told(lines, 69, "connection refused", "kafka.bootstrap")
    # The driver complains many times a second. What is left out is counted.
    drivers = [line for line in lines if line["code"] == "HS2001"]
    assert len(drivers) <= 2 + seconds(lines) and any(line.get("repeated", 0) > 0 for line in drivers), drivers


def seconds(lines: list[dict]) -> float:
    minutes = [re.search(r"T\d\d:(\d\d):([\d.]+)Z", line["timestamp"]).groups() for line in (lines[0], lines[-1])]
    first, last = (int(minute) * 60 + float(second) for minute, second in minutes)
    return (last - first) % 3600


def test_the_first_start_says_what_it_created_and_a_refused_store_why(kafka, make_world):
    world = make_world(kafka)
    worker = world.worker()
    worker.stop()
    lines = parsed(worker.text())
    assert faults(lines) == []
    created = {"HS1313": "root key created", "HS1314": "vault created", "HS1315": "key store created", "HS1101": "topics created"}
    assert {line["code"]: line["message"] for line in lines if line["code"] in created} == created
    assert "HS1409" in {line["code"] for line in lines}, "unsigned commands are accepted"
    assert not {"HS1313", "HS1314", "HS1315"} & {line["code"] for line in again(world)}, "once only"

    world.store.path.chmod(0o644)
    assert_told(failed(world, 78), 78, str(world.store.path.name), "0644")


def again(world: World) -> list[dict]:
    before = len((world.folder / "w0.log").read_text())
    worker = world.worker()
    worker.stop()
    return parsed(worker.text()[before:])


def test_offsets_of_another_store_name_the_thread(kafka, make_world):
    world = make_world(kafka, settings=QUICK_SESSION)
    world.feed_some(job_events(seeded()), 200)
    worker = world.worker()
    world.await_drained()
    worker.stop()
    world.store.path = world.folder / "other" / "keys.db"
    lines = failed(world, 78, settings={"control": {"execute": False}})
    assert_told(lines, 78, "lane 0: ", "another key store", "kafka.group")


def test_an_output_that_is_compacted(kafka, make_world):
    world = make_world(kafka)
    world.topics.create(world.output, partitions=8, settings={"cleanup.policy": "compact"})
    assert_told(failed(world, 78), 78, "cleanup.policy", world.output)


def test_a_port_that_is_taken(kafka, make_world):
    world = make_world(kafka)
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        lines = failed(world, 78, settings={"admin": {"listen": f"127.0.0.1:{port}"}})
    assert_told(lines, 78, str(port), "admin.listen")


def test_a_panic_and_a_misspelt_variable_have_codes(kafka, make_world):
    world = make_world(kafka, binary=TESTKIT)
    world.env |= {"HOURSEAL_TESTKIT_PANIC": "lane 0", "HOURSEAL_LANE_COUNT": "2"}
    lines = failed(world, 70)
    assert_told(lines, 70, "lane 0", "panicked")
    codes = [line["code"] for line in lines]
    assert codes.count(PANICKED) == 1 and codes[0] == IGNORED, codes


def test_text_has_the_same_last_line(kafka, make_world):
    """The control: it is not JSON."""
    world = make_world(kafka)
    worker = world.worker(ready=False, settings={"kafka": {"bootstrap": "127.0.0.1:1"}, "log": {"format": "text"}})
    assert worker.wait(90) == 69
    lines = worker.text().splitlines()
    assert all(re.search(r'^\d{4}-\S+Z +[A-Z]+ .* code="HS\d{4}"', line) for line in lines), worker.tail()
    assert re.search(r' ERROR no answer .* code="HS1006" exit=69 hint="', lines[-1]), lines[-1]
    with pytest.raises(ValueError):
        parsed(worker.text())
