"""SASL/OAUTHBEARER: tokens come from an identity provider or from a file, each client gets the next one before the old one
expires, and what is missing is named."""

import json
import subprocess
import time

import pytest
from children import free_ports, wait_until
from identity_provider import CLIENT, SECRET, IdentityProvider, unsigned_token
from oracle.events import job_events
from secured_kafka import authority, signed
from token_kafka import TokenKafka, settings
from world import LONG, RELEASE, seeded

CONFIGURATION, AWAY = 78, 69
# A hang guard, not a claim.
PATIENT = 120


@pytest.fixture(scope="module")
def broker():
    with TokenKafka() as broker:
        yield broker


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority(folder, "ca"), authority(folder, "other")
    signed(folder, "idp", "ca")
    return folder


@pytest.fixture
def provider(certificates):
    with IdentityProvider(certificates / "idp.pem") as provider:
        yield provider


@pytest.fixture
def world(broker, make_world):
    return make_world(broker)


@pytest.fixture
def asked(broker, provider, certificates, tmp_path):
    """The settings that are right for the provider, with changes. `None` removes one."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")

    def changed(**changes) -> dict:
        right = {
            "token_endpoint": provider.url,
            "client_id": CLIENT,
            "client_secret_file": secret,
            "scope": "kafka",
            "ca_file": certificates / "ca.pem",
        }
        return settings(broker, **{name: it for name, it in {**right, **changes}.items() if it is not None})

    return changed


def complaint(world, words: tuple, settings: dict) -> tuple[int, str, str]:
    """The exit code, the first line and everything."""
    command = [RELEASE, *words, "--config", world.config("cli", settings=settings)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENT, cwd=world.folder)
    assert SECRET not in done.stderr and "eyJ" not in done.stderr, done.stderr
    return done.returncode, (done.stderr.splitlines() or [""])[0], done.stderr


def seal(world, count: int = 1_000):
    world.feed_some(job_events(seeded()), count)
    world.await_drained()


def test_a_worker_seals_on_over_many_short_tokens(world, asked, provider):
    """The broker ends a connection whose token has expired, so each client has to bring a new one in time."""
    provider.lives = 10
    worker = world.worker(settings=asked())
    seal(world)
    first = len(provider.issued)
    wait_until(lambda: len(provider.issued) >= first + 3, 60, "three more tokens", alive=worker)
    seal(world)
    assert "HS2007" not in worker.text() and SECRET not in worker.text() and "eyJ" not in worker.text()
    assert worker.is_ready()
    # A reader and a command for topics get theirs, too.
    assert len(world.cli_json("open", "--from-beginning")) == 2_000
    assert "ok" in world.cli("topics", "check", settings=asked())
    worker.stop()
    world.findings().assert_exactly_once()


def test_without_a_new_token_the_worker_says_why_and_recovers(world, asked, provider):
    """The control: the tokens above are what keeps the worker connected."""
    provider.lives = 5
    worker = world.worker(settings=asked())
    seal(world)
    provider.outage = (503, {"error": "temporarily_unavailable"})
    wait_until(lambda: "HS2007" in worker.text(), 30, "the failure is logged", alive=worker)
    why = "temporarily_unavailable"
    wait_until(lambda: why in (worker.why_not_ready() or ""), 90, "/readyz says why", alive=worker)
    provider.outage = None
    wait_until(worker.is_ready, 60, "the worker is ready again", alive=worker)
    seal(world)
    worker.stop()
    world.findings().assert_exactly_once()


@pytest.mark.skipif(not LONG, reason="half a minute: of the long tier")
def test_a_token_file_is_read_again_before_the_token_expires(world, broker, tmp_path):
    file = tmp_path / "token"
    renewals = []

    def renew(lives: float):
        fresh = file.with_suffix(".new")
        fresh.write_text(unsigned_token(lives) + "\n")
        fresh.rename(file)
        renewals.append(time.monotonic())

    renew(10)
    worker = world.worker(settings=settings(broker, token_file=file))
    for _ in range(3):
        renew(10)
        time.sleep(7)
    seal(world)
    assert worker.is_ready() and "HS2007" not in worker.text(), worker.tail()
    # Nobody renews it now: the worker says which file.
    wait_until(lambda: str(file) in (worker.why_not_ready() or ""), 60, "/readyz names the file", alive=worker)
    assert "it expired at 20" in worker.why_not_ready()
    renew(3600)
    wait_until(worker.is_ready, 60, "the worker is ready again", alive=worker)
    assert "eyJ" not in worker.text()


WRONG = {
    "wrong secret": ({"client_secret_file": "wrong"}, CONFIGURATION, "refuses the client: invalid_client", "sasl_oauth_client_id"),
    "no listener": ({"token_endpoint": "dead"}, AWAY, "Connection refused", "sasl_oauth_token_endpoint"),
    "other authority": ({"ca_file": "other"}, CONFIGURATION, "is not trusted: ", "sasl_oauth_ca_file"),
    "system's authorities": ({"ca_file": None}, CONFIGURATION, "is not trusted: ", "sasl_oauth_ca_file"),
    "missing secret": ({"client_secret_file": "/nowhere/s"}, CONFIGURATION, "cannot read /nowhere/s", "client_secret_file"),
    "other path": ({"token_endpoint": "path"}, CONFIGURATION, "invalid_client", "sasl_oauth_client_id"),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_first_line_says_why_there_is_no_token(world, asked, provider, certificates, tmp_path, name):
    changes, code, cause, hint = WRONG[name]
    (tmp_path / "wrong").write_text("wrong-5f3a\n")
    dead = f"https://localhost:{free_ports(1)[0]}/token"
    places = {"wrong": tmp_path / "wrong", "dead": dead, "other": certificates / "other.pem", "path": provider.url + "s"}
    begun = time.monotonic()
    exit_code, first, said = complaint(
        world, ("topics", "check"), asked(**{key: places.get(it, it) for key, it in changes.items()})
    )
    assert exit_code == code and cause in first and hint in said and "wrong-5f3a" not in said, (exit_code, said)
    if code == CONFIGURATION:
        assert time.monotonic() - begun < 5


def test_an_endpoint_that_says_nothing_is_not_awaited_without_end(world, asked, provider):
    provider.outage = (500, {})
    exit_code, first, said = complaint(world, ("topics", "check"), asked())
    assert exit_code == AWAY and "HTTP status 500" in first, said


def test_an_expired_token_and_a_refused_one_are_told_apart(world, broker, asked, provider, tmp_path):
    file = tmp_path / "token"
    file.write_text(unsigned_token(-60))
    exit_code, first, said = complaint(world, ("topics", "check"), settings(broker, token_file=file))
    assert exit_code == AWAY and str(file) in first and "it expired at 20" in first, said
    provider.scope = "another"
    exit_code, first, said = complaint(world, ("topics", "check"), asked())
    assert exit_code == CONFIGURATION and "authentication failed" in first and "audience" in said, said


def test_run_says_it_and_the_check_reads_the_files_without_asking(world, asked, provider, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong-5f3a")
    worker = world.worker("w0", ready=False, settings=asked(client_secret_file=wrong))
    assert worker.wait(PATIENT) == CONFIGURATION
    (told,) = [line for line in worker.text().splitlines() if "HS1006" in line]
    assert "refuses the client: invalid_client" in told, worker.tail()
    asked_before = provider.refused
    exit_code, _, said = complaint(world, ("config", "check"), asked(ca_file="/nowhere/ca"))
    assert exit_code == CONFIGURATION and "/nowhere/ca" in said, said
    exit_code, _, said = complaint(world, ("config", "check"), asked())
    assert exit_code == 0, said
    assert (provider.refused, provider.issued) == (asked_before, []), "the check connects to nothing"


CONTRADICTIONS = {
    "no source": ({"client": {"sasl.mechanism": "OAUTHBEARER"}}, "no setting says where they come from"),
    "two sources": (
        {
            "client": {"sasl.mechanism": "OAUTHBEARER"},
            "sasl_oauth_token_file": "/t",
            "sasl_oauth_token_endpoint": "https://idp/",
            "sasl_oauth_client_id": "c",
            "sasl_oauth_client_secret_file": "/s",
        },
        "are both set",
    ),
    "no client": (
        {"client": {"sasl.mechanism": "OAUTHBEARER"}, "sasl_oauth_token_endpoint": "https://idp/"},
        "set without kafka.sasl_oauth_client_id",
    ),
    "other mechanism": (
        {"client": {"sasl.mechanism": "PLAIN"}, "sasl_oauth_token_file": "/t"},
        "is not OAUTHBEARER",
    ),
    "in the clear": ({"sasl_oauth_token_endpoint": "http://idp.example/token"}, "begins with https://"),
    "only a scope": ({"sasl_oauth_scope": "x"}, "set without kafka.sasl_oauth_token_endpoint"),
    "librdkafka's way": ({"client": {"sasl.oauthbearer.method": "oidc"}}, "librdkafka fetches no tokens here"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_settings_that_give_no_token_are_refused_before_the_start(tmp_path, name):
    kafka, why = CONTRADICTIONS[name]
    file = tmp_path / "hourseal.toml"
    flat = {**kafka, **{f"client.{key}": it for key, it in kafka.get("client", {}).items()}}
    lines = [f"{key} = {json.dumps(it)}" for key, it in flat.items() if isinstance(it, str)]
    file.write_text("[kafka]\n" + "\n".join(lines))
    done = subprocess.run([RELEASE, "config", "check", "--config", file], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == CONFIGURATION and why in done.stderr, done.stderr
