"""The schema of the settings, by the reference implementation: what `run` takes satisfies it, what it refuses does not."""

import json
import subprocess
import tomllib

import pytest
from jsonschema import Draft202012Validator
from secured_kafka import authority
from world import RELEASE, ROOT

EXAMPLE = (ROOT / "src/config/default.toml").read_text()
COMPOSE = (ROOT / "docker/hourseal.toml").read_text()
WRONG = [
    "instance = 'a b'",
    "instnace = 'a'",
    "[lane]\ncuont = 2",
    "[lanes]\ncount = 2",
    "lane = 2",
    "[lane]\ncount = 1025",
    "[lane]\ncount = [2]",
    "[lane]\nbatch_time = 'soon'",
    "[lane]\nbatch_bytes = '16MB'",
    "[log]\nlevel = 'loud'",
    "[kek]\nshared = 'maybe'",
    "[store]\nkind = 'redis'",
    "[store]\ncontact_points = []",
    "[store]\ncontact_points = ['a']",
    "[store]\nkeyspace = 'Hourseal'",
    "[topics.class]\nshort = 'a'",
    "[canary]\ncustomer = 'acme'",
    "[kafka.client]\n'sasl.password' = 'x'",
    "[kafka.client]\n'client.id' = 'x'",
    "[kafka.consumer]\n'isolation.level' = 'x'",
    "[kafka.producer]\nlinger.ms = [5]",
]
RIGHT = [
    "",
    EXAMPLE,
    COMPOSE,
    "[kafka.client]\nsecurity.protocol = 'ssl'\n'client.rack' = 'x'\nlinger_ms = 5",
    "[store]\ncontact_points = ['[::1]:9042', '::1', 'a:1']",
    "[lane]\nbatch_bytes = 16777216\nbatch_time = '1s 5ms'",
    "[topics.class]\n7d = 'week'",
    "[event]\ncustomer = 'key'\ntime = 'timestamp'",
]


def hourseal(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([RELEASE, *words], capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    schema = json.loads(hourseal("config", "schema").stdout)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_taken_satisfies_the_schema(schema, text, tmp_path):
    schema.validate(tomllib.loads(text))
    (tmp_path / "right.toml").write_text(text)
    done = hourseal("config", "check", "--config", tmp_path / "right.toml")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", WRONG)
def test_what_is_refused_does_not_satisfy_the_schema(schema, text, tmp_path):
    assert not schema.is_valid(tomllib.loads(text))
    (tmp_path / "wrong.toml").write_text(text)
    done = hourseal("config", "check", "--config", tmp_path / "wrong.toml")
    assert done.returncode == 78 and f"error: {tmp_path}/wrong.toml:" in done.stderr, done.stderr


def test_the_defaults_of_the_schema_are_those_of_the_example(schema):
    defaults = {
        (section, key): setting["default"]
        for section, table in schema.schema["properties"].items()
        for key, setting in table.get("properties", {}).items()
        if "default" in setting
    }
    example = tomllib.loads(EXAMPLE)
    set_there = {(section, key): example[section][key] for section in example for key in example[section]}
    assert defaults == {place: value for place, value in set_there.items() if value != {}}
    assert len(defaults) > 35


def test_the_example_is_the_file_of_the_defaults():
    assert hourseal("config", "example").stdout == EXAMPLE


CQL = "[kek]\nshared = true\n[store]\nkind = 'scylla'\ncontact_points = ['a:1']\n"
# What the settings name, and what the first error says about it. `shared` is a file that others may read, `text` one with no key.
UNUSABLE = {
    "[kafka.client]\nsecurty.protocol = 'ssl'": "securty.protocol",
    "[kafka.client]\nsecurity.protocol = 'sals_ssl'": "sals_ssl",
    "[kafka.producer]\nlinger.ms = 'soon'": "linger.ms",
    "[kafka.consumer]\nfetch.wait.max.ms = '-7'": "fetch.wait.max.ms",
    "[kafka.client]\nsecurity.protocol = 'sasl_ssl'\nsasl.mechanism = 'FOO'": "Unsupported SASL mechanism: FOO",
    "[kafka.client]\nsasl.mechanism = 'OAUTHBEARER'": "no setting says where they come from",
    "[kafka.client]\nsecurity.protocol = 'ssl'\nssl.ca.location = 'missing'": "ssl.ca.location",
    "[kafka.client]\nsecurity.protocol = 'ssl'\nssl.ca.location = 'text'": "ssl.ca.location",
    "[kafka]\nsasl_password_file = 'missing'": "cannot read missing",
    "[receipts]\nsigning_key_file = 'missing'": "receipts.signing_key_file: missing",
    "[receipts]\nsigning_key_file = 'shared'": "mode 0644",
    "[receipts]\nsigning_key_file = 'text'": "receipts.signing_key_file: text",
    "[control]\ntrust_store_file = 'missing'": "the trust store missing cannot be used",
    "[control]\ntrust_store_file = 'text'": "the trust store text cannot be used",
    "[kek]\nroot_key_file = 'shared'": "mode 0644",
    "[kek]\nroot_key_file = 'text'": "is not a root key file",
    "[store]\npath = 'shared'": "mode 0644",
    CQL + "tls_ca_file = 'missing'": "TLS files of the key store",
    CQL + "user = 'u'\npassword_file = 'missing'": "cannot read missing",
}


@pytest.fixture
def folder(tmp_path):
    for name, mode in (("shared", 0o644), ("text", 0o600)):
        (tmp_path / name).write_text("no key\n")
        (tmp_path / name).chmod(mode)
    return tmp_path


def checked(folder, text: str) -> subprocess.CompletedProcess:
    """`config check` in this folder, which it leaves as it was."""
    (folder / "hourseal.toml").write_text(text)
    before = sorted(folder.rglob("*"))
    command = [RELEASE, "config", "check", "--config", "hourseal.toml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder)
    assert sorted(folder.rglob("*")) == before
    return done


@pytest.mark.parametrize("text", UNUSABLE)
def test_the_check_refuses_what_the_settings_name(folder, text):
    done = checked(folder, text)
    assert done.returncode == 78 and UNUSABLE[text] in done.stderr, done.stderr


def test_the_check_takes_settings_whose_files_a_start_creates(folder):
    done = checked(folder, "")
    assert done.returncode == 0 and done.stdout.startswith("ok: "), done.stderr


def test_the_check_tells_every_file_that_cannot_be_used(folder):
    said = checked(folder, "[receipts]\nsigning_key_file = 'missing'\n[control]\ntrust_store_file = 'missing'").stderr
    assert "receipts.signing_key_file" in said and "the trust store" in said and said.count("error: ") == 2, said


def test_a_variable_that_lacks_an_underscore_is_warned_of(folder):
    env = {"HOURSEAL_LANE_COUNT": "7", "PATH": ""}
    done = subprocess.run([RELEASE, "config", "show"], capture_output=True, text=True, timeout=60, env=env, cwd=folder)
    assert "HOURSEAL_LANE_COUNT is ignored: set HOURSEAL__LANE__COUNT" in done.stderr, done.stderr
    assert "count = 7" not in done.stdout


def test_files_of_tls_without_tls_are_refused_as_run_would_speak_plaintext(tmp_path):
    for settings, code in [
        ("'ssl.ca.location' = '/nowhere/ca.pem'", 78),
        ("'ssl.ca.location' = '/nowhere/ca.pem'\n'security.protocol' = 'sasl_plaintext'", 78),
        ("'ssl.ca.location' = '/nowhere/ca.pem'\n'security.protocol' = 'ssl'", 78),
        (f"'ssl.ca.location' = '{authority(tmp_path, 'ca')}'\n'security.protocol' = 'ssl'", 0),
    ]:
        file = tmp_path / "hourseal.toml"
        file.write_text(f"[kafka.client]\n{settings}\n")
        checked = hourseal("config", "check", "--config", file)
        assert checked.returncode == code, (settings, checked.stderr)
        if code and "= 'ssl'" not in settings:
            assert "the clients would not use TLS" in checked.stderr, checked.stderr
        if code:
            ran = hourseal("run", "--config", file, "--set", "admin.listen=127.0.0.1:0")
            why = "ssl.ca.location failed" if "= 'ssl'" in settings else "the clients would not use TLS"
            assert ran.returncode == code and why in ran.stderr and why in checked.stderr, (ran.stderr, checked.stderr)
