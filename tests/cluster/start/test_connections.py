"""Who cannot reach the cluster is told the cause by every command alike. `test_wrong_setups` has the causes."""

import signal
import subprocess

import pytest
from children import free_ports, wait_until
from secured_kafka import PASSWORD, SecuredKafka
from world import RELEASE

CONFIGURATION = 78
# A hang guard, not a claim.
LONG = 120


@pytest.fixture(scope="module")
def secured():
    with SecuredKafka() as broker:
        yield broker


@pytest.fixture
def world(secured, make_world):
    return make_world(secured)


def with_a_wrong_password(secured: SecuredKafka) -> dict:
    return secured.reached_by("sasl", password=secured.wrong_password)


def complaint(world, words: tuple, settings: dict) -> tuple[int, str, str]:
    """The exit code, the first line and the hint."""
    config = world.config("cli", settings=settings)
    command = [RELEASE, *words, "--config", config]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, cwd=world.folder)
    assert PASSWORD not in done.stderr and "wrong-5f3a" not in done.stderr, done.stderr
    lines = done.stderr.splitlines() or [""]
    return done.returncode, lines[0], "\n".join(line for line in lines if line.startswith("hint:"))


@pytest.mark.parametrize("way", ["sasl", "tls", "sasl_tls"])
def test_the_right_settings_reach_the_cluster(secured, world, way):
    """The control: what test_wrong_setups shows is refused for its mistake."""
    world.cli("topics", "create", settings=secured.reached_by(way))
    assert "ok" in world.cli("topics", "check", settings=secured.reached_by(way))


def test_a_pkcs12_file_is_opened_with_the_password_of_its_file(secured, world):
    pem = {"ssl.certificate.location": None, "ssl.key.location": None}
    settings = secured.reached_by("tls", **pem, **{"ssl.keystore.location": str(secured.keystore)})
    settings["kafka"]["ssl_keystore_password_file"] = str(secured.password)
    world.cli("topics", "create", settings=settings)
    settings["kafka"]["ssl_keystore_password_file"] = str(secured.wrong_password)
    assert "ssl.keystore.location" in world.cli("config", "check", code=78, errors=True, settings=settings)


COMMANDS = {
    "open": ("open", "--from-beginning"),
    "quarantine ls": ("quarantine", "ls"),
    "quarantine ls --summary": ("quarantine", "ls", "--summary"),
    "receipts ls": ("receipts", "ls"),
    "reclaim": ("reclaim", "--dry-run"),
    "produce-sample": ("produce-sample", "--count", "1"),
    "erase plan": ("erase", "plan", "--customer", "acme", "--from", "498000"),
    "redrive": ("quarantine", "redrive", "--dry-run"),
    "replay": ("store", "replay"),
    "topics adopt": ("topics", "adopt"),
    "try": ("try",),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tells_the_cause_alike(secured, world, name):
    world.worker("w0").stop()
    wrong = with_a_wrong_password(secured)
    exit_code, first, _ = complaint(world, COMMANDS[name], wrong)
    assert exit_code == CONFIGURATION and "authentication failed" in first, (exit_code, first)


def test_run_tells_the_cause_and_ends(secured, world):
    worker = world.worker("w0", ready=False, settings=with_a_wrong_password(secured))
    assert worker.wait(LONG) == CONFIGURATION, worker.tail()
    told = [line for line in worker.text().splitlines() if "HS1006" in line]
    assert "authentication failed" in told[0], worker.tail()


def test_while_it_waits_readyz_says_why_and_a_signal_ends_it(secured, world):
    """The admin port answers from the first second. There is nothing to settle, so the end is an orderly one."""
    worker = world.worker("w0", ready=False, settings=secured.reached_by("plain", at=f"127.0.0.1:{free_ports(1)[0]}"))
    wait_until(lambda: "connection refused" in (worker.why_not_ready() or ""), LONG, "/readyz says why", alive=worker)
    worker.send(signal.SIGTERM)
    assert worker.wait(LONG) == 0, worker.tail()
    assert "HS2004" in worker.text() and "HS1004" in worker.text(), worker.tail()


def test_at_level_debug_librdkafka_says_what_it_does(secured, world):
    settings = {**with_a_wrong_password(secured), "log": {"level": "debug"}}
    config = world.config("cli", settings=settings)
    command = [RELEASE, "topics", "check", "--config", config]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, cwd=world.folder)
    assert done.returncode == CONFIGURATION and "HS2002" in done.stderr and "AUTH_REQ" in done.stderr, done.stderr
    assert PASSWORD not in done.stderr and "wrong-5f3a" not in done.stderr
