"""The schema of the settings, by the reference implementation: what `run` takes satisfies it, what it refuses does not."""

import json
import subprocess
import tomllib

import pytest
from jsonschema import Draft202012Validator
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
