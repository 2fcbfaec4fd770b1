"""Who cannot reach the cluster is told the cause in the first line, and which setting to look at: by every command alike."""

import http.server
import signal
import subprocess
import threading
from contextlib import contextmanager

import pytest
from children import free_ports, wait_until
from secured_kafka import NOWHERE, PASSWORD, SecuredKafka
from world import RELEASE

CONFIGURATION, AWAY = 78, 69
# A hang guard, not a claim.
LONG = 120


@pytest.fixture(scope="module")
def secured():
    with SecuredKafka() as broker:
        yield broker


@pytest.fixture
def world(secured, make_world):
    return make_world(secured)


class NoKafka(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def web_server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), NoKafka)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


# The listener, what is wrong, the exit code, the cause in the first line, and a setting that the hint names.
WRONG = {
    "wrong password": ("sasl", {"password": "wrong"}, CONFIGURATION, "authentication failed", "kafka.sasl_password_file"),
    "wrong password over TLS": ("sasl_tls", {"password": "wrong"}, CONFIGURATION, "authentication failed", "sasl.username"),
    "other mechanism": (
        "sasl",
        {"sasl.mechanism": "SCRAM-SHA-512"},
        CONFIGURATION,
        "the broker does not offer the SASL mechanism",
        "sasl.mechanism",
    ),
    "unknown mechanism": ("sasl", {"sasl.mechanism": "FOO"}, CONFIGURATION, "SASL mechanism: FOO", "[kafka.client]"),
    "other authority": (
        "sasl_tls",
        {"ssl.ca.location": "other_ca"},
        CONFIGURATION,
        "the broker's certificate is not trusted",
        "ssl.ca.location",
    ),
    "other host name": ("sasl_tls", {"at": "by address"}, CONFIGURATION, "is for another host name", "advertised.listeners"),
    "no client certificate": (
        "tls",
        {"ssl.certificate.location": None, "ssl.key.location": None},
        CONFIGURATION,
        "the broker refuses the client's certificate, or requires one",
        "ssl.certificate.location",
    ),
    "plaintext to TLS": ("plain", {"at": "tls"}, CONFIGURATION, "plaintext on a TLS port", "security.protocol"),
    "TLS to plaintext": ("tls", {"at": "plain"}, CONFIGURATION, "TLS on a plaintext port", "security.protocol"),
    "no SASL": ("plain", {"at": "sasl"}, CONFIGURATION, "SASL (", "security.protocol"),
    "advertised name": ("elsewhere", {}, CONFIGURATION, f"advertised address {NOWHERE}", "advertised.listeners"),
    "unknown name": ("plain", {"at": "nowhere.invalid:9092"}, AWAY, "the host name cannot be resolved", "kafka.bootstrap"),
    "dead port": ("plain", {"at": "dead"}, AWAY, "connection refused", "kafka.bootstrap"),
}


def changed(secured: SecuredKafka, way: str, changes: dict) -> dict:
    """The settings with the changes, whose placeholders are filled in."""
    addresses = {"tls": secured.at["tls"], "sasl": secured.at["sasl"], "plain": secured.bootstrap}
    addresses["dead"] = f"127.0.0.1:{free_ports(1)[0]}"
    addresses["by address"] = secured.at["sasl_tls"].replace("localhost", "127.0.0.1")
    filled = dict(changes)
    if "at" in changes:
        filled["at"] = addresses.get(changes["at"], changes["at"])
    if "password" in changes:
        filled["password"] = secured.wrong_password
    if changes.get("ssl.ca.location") == "other_ca":
        filled["ssl.ca.location"] = str(secured.other_ca)
    return secured.reached_by(way, **filled)


def complaint(world, words: tuple, settings: dict) -> tuple[int, str, str]:
    """The exit code, the first line and the hint."""
    config = world.config("cli", settings=settings)
    command = [RELEASE, *words, "--config", config]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, cwd=world.folder)
    assert PASSWORD not in done.stderr and "wrong-5f3a" not in done.stderr, done.stderr
    lines = done.stderr.splitlines() or [""]
    return done.returncode, lines[0], "\n".join(line for line in lines if line.startswith("hint:"))


@pytest.mark.parametrize("name", WRONG)
def test_the_first_line_names_the_cause(secured, world, name):
    way, changes, code, cause, setting = WRONG[name]
    exit_code, first, hint = complaint(world, ("topics", "check"), changed(secured, way, changes))
    assert exit_code == code and cause in first and setting in hint, (exit_code, first, hint)


def test_a_port_that_does_not_speak_kafka_is_told(world):
    with web_server() as address:
        exit_code, first, hint = complaint(world, ("topics", "check"), {"kafka": {"bootstrap": address}})
    assert exit_code == AWAY and "the answer is not one of a Kafka broker" in first, (exit_code, first, hint)


@pytest.mark.parametrize("way", ["sasl", "tls", "sasl_tls"])
def test_the_right_settings_reach_the_cluster(secured, world, way):
    """The control: what is refused above is refused for its mistake."""
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
    wrong = changed(secured, "sasl", {"password": "wrong"})
    exit_code, first, _ = complaint(world, COMMANDS[name], wrong)
    assert exit_code == CONFIGURATION and "authentication failed" in first, (exit_code, first)


def test_run_tells_the_cause_and_ends(secured, world):
    worker = world.worker("w0", ready=False, settings=changed(secured, "sasl", {"password": "wrong"}))
    assert worker.wait(LONG) == CONFIGURATION, worker.tail()
    told = [line for line in worker.text().splitlines() if "HS1006" in line]
    assert "authentication failed" in told[0], worker.tail()


def test_while_it_waits_readyz_says_why_and_a_signal_ends_it(secured, world):
    """The admin port answers from the first second. There is nothing to settle, so the end is an orderly one."""
    worker = world.worker("w0", ready=False, settings=changed(secured, "plain", {"at": "dead"}))
    wait_until(lambda: "connection refused" in (worker.why_not_ready() or ""), LONG, "/readyz says why", alive=worker)
    worker.send(signal.SIGTERM)
    assert worker.wait(LONG) == 0, worker.tail()
    assert "HS2004" in worker.text() and "HS1004" in worker.text(), worker.tail()


def test_at_level_debug_librdkafka_says_what_it_does(secured, world):
    settings = {**changed(secured, "sasl", {"password": "wrong"}), "log": {"level": "debug"}}
    config = world.config("cli", settings=settings)
    command = [RELEASE, "topics", "check", "--config", config]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, cwd=world.folder)
    assert done.returncode == CONFIGURATION and "HS2002" in done.stderr and "AUTH_REQ" in done.stderr, done.stderr
    assert PASSWORD not in done.stderr and "wrong-5f3a" not in done.stderr
