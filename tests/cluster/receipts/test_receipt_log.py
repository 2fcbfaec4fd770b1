"""The receipts topic is a log: signed after commit, proven outside, continued by a restart; one that was cut is not signed."""

import json
import shutil
from itertools import count

import pytest
from children import wait_until
from confluent_kafka import TopicPartition
from nacl.signing import SigningKey
from oracle.events import HOUR_MS, now_ms
from oracle.receipt_log import Log
from parked import accepting
from signing_key import SEED, write_signing_key
from verifiers import Verifiers
from world import World

LONG_AGO = now_ms() // HOUR_MS - 50 * 24
NUMBERS = count()


@pytest.fixture
def key_file(tmp_path):
    return write_signing_key(tmp_path)


@pytest.fixture
def world(kafka, make_world, key_file) -> World:
    return make_world(kafka, partitions=1, settings={"receipts": {"signing_key_file": str(key_file)}})


def erase(world: World, hour: int) -> str:
    """A command for a customer without keys, and its receipt awaited."""
    command = f"c-{next(NUMBERS)}"
    body = {"type": "erase", "customer": "acme", "from_hour": hour, "to_hour": hour, "reason": "retention-end"}
    world.command(id=command, **body)

    def done():
        return command in [receipt["command"] for receipt in world.receipt_bodies()]

    wait_until(done, 30, f"{command}'s receipt")
    return command


def log_of(world: World) -> Log:
    """The log as another program makes it from the topic. Ed25519 gives each text one signature."""
    records = world.topics.read(world.receipts)
    store = json.loads(records[0].value())["store"]
    origin = f"hourseal/{store}/{world.receipts}"
    return Log(origin, SigningKey(SEED), [record.value() for record in records])


def await_checkpoint(worker, log: Log):
    """/checkpoint is, to the letter, what this tree and key give."""
    wait_until(lambda: worker.get("/checkpoint") == (200, log.checkpoint()), 20, "the newest checkpoint", alive=worker)


def is_without_prose(certificate: dict) -> bool:
    """Names, numbers, codes and times only: no sentence has more than three words in a row. The proof is a file of its own form."""
    fields = {name: it for name, it in certificate.items() if name not in ("proof", "certificate")}
    return all(len(str(it).split()) <= 3 for value in fields.values() for it in (value if isinstance(value, list) else [value]))


def test_receipts_are_signed_and_proven_and_a_restart_continues_their_log(world, tmp_path):
    worker = world.worker()
    assert worker.get("/checkpoint")[0] == 404, "nothing is signed yet"
    commands = [erase(world, LONG_AGO + number) for number in range(3)]
    refused = erase(world, now_ms() // HOUR_MS - 1)
    log = log_of(world)
    await_checkpoint(worker, log)
    newest = world.topics.read(f"{world.input}.checkpoints")[-1]
    assert (newest.key().decode(), newest.value().decode()) == (log.origin, log.checkpoint())
    figures = worker.figures()
    assert figures.sum("receipts_tree_size") == figures.sum("receipts_checkpoint_size") == 4
    assert figures.sum("receipts_signing_halted") == 0
    assert figures.sum("receipts_last_checkpoint_timestamp_seconds") > now_ms() / 1000 - 60

    assert [receipt["command"] for receipt in world.cli_json("receipts", "ls", "--json")] == [*commands, refused]
    assert [receipt["index"] for receipt in world.cli_json("receipts", "ls", "--outcome", "refused", "--json")] == [3]
    assert world.cli_json("receipts", "ls", "--customer", "nobody", "--json") == []
    assert len(world.cli_json("receipts", "ls", "--customer", "acme", "--json")) == 4
    assert "nothing-to-erase" in world.cli("receipts", "show", commands[0])

    proofs = tmp_path / "proofs"
    world.cli("receipts", "export", str(proofs))
    assert (proofs / "log.vkey").read_text() == log.vkey() + "\n"
    files = sorted(proofs.glob("*.tlog-proof"))
    assert [file.read_bytes() for file in files] == [log.proof(index) for index in range(4)]
    if shutil.which("go"):
        verdicts = Verifiers(world.binary, tmp_path).of_files(log.vkey(), files)
        assert verdicts == [f"ok {index} of 4" for index in range(4)]

    certificate = world.cli_json("receipts", "certificate", commands[1], "--json")[0]
    assert certificate["proof"].encode() == log.proof(1)
    assert (certificate["level"], certificate["outcome"]) == ("L1", "nothing-to-erase")
    assert certificate["plaintext_topic"] == world.input and world.output in certificate["covered_topics"]
    assert is_without_prose(certificate), certificate
    text = world.cli("receipts", "certificate", commands[1])
    assert f"the input topic `{world.input}` is plaintext" in text and "cryptographic erasure" in text
    assert world.cli("receipts", "certificate", commands[1]).encode().endswith(log.proof(1))
    assert "not-due" in world.cli("receipts", "certificate", refused, code=65, errors=True)
    world.cli("receipts", "certificate", "no-such-command", code=65, errors=True)

    worker.kill()
    worker = world.worker()
    await_checkpoint(worker, log)
    erase(world, LONG_AGO + 9)
    longer = log_of(world)
    assert longer.root(0, 4) == log.root(0, 4) and longer.checkpoint() != log.checkpoint()
    await_checkpoint(worker, longer)
    worker.stop()


def test_a_receipts_topic_that_was_cut_or_replaced_is_not_signed(world):
    worker = world.worker()
    for number in range(2):
        erase(world, LONG_AGO + number)
    log = log_of(world)
    await_checkpoint(worker, log)
    applied = world.topics.read(world.receipts)[-1].offset()
    checkpoints = len(world.topics.read(f"{world.input}.checkpoints"))

    (cut,) = world.topics.admin.delete_records([TopicPartition(world.receipts, 0, 1)]).values()
    cut.result(20)
    wait_until(lambda: "begins at offset 1" in (worker.why_not_ready() or ""), 20, "a refusal", alive=worker)
    assert worker.figures().sum("receipts_signing_halted") == 1
    assert "does not lead" in world.cli("receipts", "export", "proofs", code=65, errors=True)
    worker.stop()
    assert "HS1453" in worker.log.read_text()

    (gone,) = world.topics.admin.delete_topics([world.receipts]).values()
    gone.result(20)
    wait_until(lambda: world.receipts not in world.topics.admin.list_topics(timeout=20).topics, 20, "the topic is gone")
    worker = world.worker(ready=False, arguments=accepting(world.receipts, 0, applied + 1))
    why = "a checkpoint of 2 receipts is published, but the receipts topic has only 0"
    wait_until(lambda: why in (worker.why_not_ready() or ""), 40, "a refusal", alive=worker)
    erase(world, LONG_AGO + 5)
    assert worker.get("/checkpoint")[0] == 404
    worker.stop()
    assert len(world.topics.read(f"{world.input}.checkpoints")) == checkpoints, "nothing more was signed"


def test_a_signing_key_that_others_can_read_is_refused(world, key_file):
    key_file.chmod(0o644)
    worker = world.worker(ready=False)
    assert worker.wait(30) == 78
    assert "signing_key_file" in worker.tail()
