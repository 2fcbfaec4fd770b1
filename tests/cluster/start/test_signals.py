"""SIGHUP never ends a worker: it reads its settings again. It ends other long commands in order, as SIGTERM does."""

import json
import os
import signal
import socket
import subprocess

import pytest
from children import Child, wait_until
from oracle.events import job_events
from world import LONG, RELEASE, Feeder, seeded

READ, REFUSED = "HS1011", "HS1012"
ENDS = [signal.SIGHUP, signal.SIGTERM, signal.SIGINT]


def lines(process, code: str) -> list[dict]:
    """The log's lines with this code."""
    found = [json.loads(line) for line in process.text().splitlines() if line.startswith("{")]
    return [line for line in found if line.get("code") == code]


def hang_up(worker, code: str = READ) -> dict:
    """Sends SIGHUP, and returns the line with which the worker answers."""
    before = len(lines(worker, code))
    worker.send(signal.SIGHUP)
    wait_until(lambda: len(lines(worker, code)) > before, 20, f"{code} is logged", alive=worker)
    return lines(worker, code)[-1]


def rewrite(file, old: str, new: str):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def line_of(file, text: str) -> int:
    return 1 + next(at for at, line in enumerate(file.read_text().splitlines()) if text in line)


def test_sighup_reads_the_settings_again_and_seals_on(kafka, make_world):
    world = make_world(kafka)
    trust, secret = world.folder / "trust.json", world.folder / "password"
    trust.write_text(json.dumps({"version": 1, "keys": []}))
    secret.write_text("unused, as the broker asks for none")
    worker = world.worker(
        settings={
            "log": {"level": "info"},
            "control": {"trust_store_file": str(trust), "require_signatures": True},
            "kafka": {"sasl_password_file": str(secret)},
        }
    )
    file = world.folder / "w0.toml"
    both = "log.level, control.trust_store_file, kafka.sasl_password_file"
    said = hang_up(worker)
    assert (said["in_force"], said["needs_restart"]) == (both, "nothing")

    assert not is_debugging(worker)
    rewrite(file, '"level" = "info"', '"level" = "debug"')
    rewrite(file, '"count" = 1', '"count" = 2')
    secret.write_text("another one")
    assert hang_up(worker)["needs_restart"] == "lane.count"
    assert is_debugging(worker)

    trust.write_text("{}")
    refused = hang_up(worker, REFUSED)
    assert str(trust) in refused["why"] and "commands wait" in refused["message"]
    wait_until(lambda: lines(worker, READ)[-1]["in_force"] == "log.level, kafka.sasl_password_file", 20, "the rest is read", alive=worker)

    rewrite(file, '"count" = 2', '"count" = "two"')
    assert f"{file}:{line_of(file, 'two')}: lane.count" in hang_up(worker, REFUSED)["why"]
    world.feed_some(job_events(seeded()), 1_000)
    world.await_drained()
    worker.stop()
    world.findings().assert_exactly_once()


def test_a_worker_hears_signals_before_it_has_started(kafka, make_world):
    """Nobody listens at its brokers: it waits for them, and gives up with 69 after a while."""
    world = make_world(kafka)
    away = {"kafka": {"bootstrap": "127.0.0.1:9"}}
    worker = world.worker(ready=False, settings=away)
    wait_until(lambda: worker.get("/livez")[0] == 200, 20, "the port answers", alive=worker)
    for _ in range(3):
        worker.send(signal.SIGHUP)
    assert worker.wait(60) == 69
    worker = world.worker(ready=False, settings=away)
    wait_until(lambda: worker.get("/livez")[0] == 200, 20, "the port answers", alive=worker)
    worker.stop(10)


def is_debugging(worker) -> bool:
    """Whether the worker logs that a client of its admin port does not speak HTTP."""
    before = len(lines(worker, "HS1502"))
    with socket.create_connection(("127.0.0.1", worker.admin_port), timeout=10) as client:
        client.sendall(b"no HTTP\r\n\r\n")
        client.recv(1_000)
    assert worker.get("/livez")[0] == 200
    return len(lines(worker, "HS1502")) > before


def follower(world, name: str, *command: str, shell: str = "exec") -> Child:
    config = world.config(name)
    words = " ".join(map(str, [world.binary, *command, "--config", config]))
    return Child(["sh", "-c", f"{shell} {words}"], log=world.folder / f"{name}.log", env=world.env, cwd=world.folder)


def test_signals_end_open_and_produce_sample_in_order(kafka, make_world):
    world = make_world(kafka)
    world.worker()
    for end in ENDS:
        reader = follower(world, f"open-{end.name}", "open", "--follow", "--from-beginning")
        producer = follower(world, f"produce-{end.name}", "produce-sample", "--rate", "500")
        wait_until(lambda reader=reader: '"opened"' in reader.text(), 60, "records are opened", alive=reader)
        producer.send(end)
        assert producer.wait(60) == 0, producer.tail()
        count = int(producer.text().split(" events produced to ")[0])
        assert count > 0
        reader.send(end)
        assert reader.wait(20) == 0, reader.tail()
        assert all(json.loads(line) for line in reader.text().splitlines()), "no line is cut"


def test_nohup_keeps_a_command_alive(kafka, make_world):
    world = make_world(kafka)
    world.worker().stop()  # the input has its leaders now
    produced = lambda: sum(world.topics.ends(world.input).values())  # noqa: E731
    producer = follower(world, "produce", "produce-sample", "--rate", "500", shell="exec nohup")
    wait_until(lambda: produced() > 500, 60, "events are produced", alive=producer)
    producer.send(signal.SIGHUP)
    soon = produced() + 500
    wait_until(lambda: produced() > soon, 60, "more events are produced", alive=producer)
    producer.send(signal.SIGTERM)
    assert producer.wait(60) == 0 and " events produced to " in producer.text()


def test_a_signal_ends_the_demo_and_removes_its_folder(tmp_path):
    for end in ENDS:
        demo = subprocess.Popen(
            [RELEASE, "demo", "--events", "200000"], env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.PIPE
        )
        wait_until(lambda: any(tmp_path.glob("hourseal-demo-*/data/keys.db")), 30, "the demo has begun")
        demo.send_signal(end)
        said = demo.communicate(timeout=60)[1].decode()
        assert demo.returncode == 69 and "a signal has ended the demo" in said, said
        assert list(tmp_path.iterdir()) == []


def quarantine_many(world, count: int):
    """Without a time, so the next settings can seal them."""
    feeder = Feeder(world)
    for number in range(count):
        payload = f'{{"customer_id":"acme","when":"2026-11-24T09:00:00Z","n":{number}}}'.encode()
        feeder.send(number % world.partitions, b"k", [], payload)
    feeder.finish()
    world.await_drained()


def test_a_signal_ends_a_redrive_in_order_and_the_next_one_continues(kafka, make_world):
    world = make_world(kafka, partitions=2, settings={"retention": {"default": "60d"}})
    world.worker()
    quarantine_many(world, 1_500)
    taking = {"event": {"time": "json:/when"}, "lane": {"batch_events": 1}}
    for end in ENDS:
        before = world.sealed_count()
        world.config("redrive", settings=taking)
        command = [world.binary, "quarantine", "redrive", "--json", "--config", world.folder / "redrive.toml"]
        log = world.folder / f"redrive-{end.name}.log"
        redrive = Child(command, log=log, env=world.env, cwd=world.folder)
        wait_until(lambda: world.sealed_count() > before + 10, 60, "records are sealed again", alive=redrive)  # noqa: B023
        redrive.send(end)
        assert redrive.wait(40) == 69 and "a signal has ended the redrive" in redrive.text(), redrive.tail()
        said = next(json.loads(line) for line in redrive.text().splitlines() if line.startswith("{"))
        assert world.sealed_count() == before + said["sealed"] and 0 < said["sealed"] < 1_500, said
    world.cli("quarantine", "redrive", settings={**taking, "lane": {"batch_events": 500}})
    numbers = sorted(json.loads(line["payload"])["n"] for line in world.opened())
    assert numbers == list(range(1_500)), "each of them once"


def test_a_signal_ends_the_wait_for_a_receipt_and_the_command_stays_sent(kafka, make_world):
    world = make_world(kafka)
    world.worker().stop()  # nobody executes commands now
    for number, end in enumerate(ENDS):
        words = ("erase", "request", "--customer", "acme", "--from", "400000", "--id", f"c{number}")
        command = follower(world, f"erase-{end.name}", *words)
        wait_until(lambda command=command: "is at offset" in command.text(), 60, "the command is sent", alive=command)
        command.send(end)
        assert command.wait(20) == 69 and "a signal has ended the wait for the receipt" in command.text(), command.tail()
    worker = world.worker()
    wait_until(lambda: len(world.receipt_bodies()) == len(ENDS), 60, "all are executed", alive=worker)


@pytest.mark.skipif(not LONG, reason="half a minute: of the long tier")
def test_a_signal_ends_a_reclaim_that_waits_and_nothing_is_deleted(own_kafka, make_world):
    world = make_world(own_kafka)
    world.worker().stop()
    for end in ENDS:
        own_kafka.kill(1, signal.SIGSTOP)
        reclaim = follower(world, f"reclaim-{end.name}", "reclaim")
        wait_until(lambda reclaim=reclaim: "waiting for kafka" in reclaim.text() or not reclaim.alive, 14, "it waits")
        reclaim.send(end)
        assert reclaim.wait(10) == 69, reclaim.tail()
        own_kafka.kill(1, signal.SIGCONT)
    # The control: undisturbed, it ends with its table.
    command = [world.binary, "reclaim", "--config", world.config("cli")]
    ends_well = lambda: subprocess.run(command, cwd=world.folder, timeout=60).returncode == 0  # noqa: E731
    wait_until(ends_well, 60, "the broker has recovered from its stalls")
