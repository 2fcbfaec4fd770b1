"""What a paper names is there: log codes, metrics and settings; and its examples of settings are accepted."""

import json
import re
import subprocess

import pytest
from papers.commands import blocks, run
from secured_kafka import authority
from world import RELEASE, ROOT

PAPERS = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
# Files that an example names.
SECRET, CERTIFICATES = re.compile(r"(/var)?/run/secrets/[\w/-]+"), "/etc/ssl/certs/kafka-ca.pem"


@pytest.fixture(scope="module")
def settings() -> dict[str, set[str]]:
    """The keys of each section."""
    schema = subprocess.run([RELEASE, "config", "schema"], capture_output=True, text=True, check=True).stdout
    return {name: set(section.get("properties", ())) for name, section in json.loads(schema)["properties"].items()}


def unknown(text: str, settings: dict[str, set[str]]) -> list[str]:
    text = re.sub(r"^```toml.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)  # checked by the program itself
    source = "".join(file.read_text() for file in (ROOT / "src").rglob("*.rs"))
    codes = set(re.findall(r"HS\d{4}", text)) - set(re.findall(r"HS\d{4}", (ROOT / "src/telemetry/codes.rs").read_text()))
    # A declaration has a help text, or the name of one.
    declared = set(re.findall(r'"([a-z_]+)",\s*(?:"[A-Z0-9]|help\b)', source))
    metrics = set(re.findall(r"\bhourseal_([a-z_]*[a-z])\b", text)) - declared
    named = re.findall(r"`([a-z]+)\.([a-z_]+)(?:`| =)", text)
    keys = [f"{section}.{key}" for section, key in named if settings.get(section) and key not in settings[section]]
    return sorted(codes) + sorted(metrics) + sorted(keys)


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_a_paper_names_what_is_there(paper, settings):
    assert unknown(paper.read_text(), settings) == []


def test_a_name_that_is_not_there_is_noticed(settings):
    """The control."""
    missing = "HS" + "9999"
    text = f"HS1001 {missing} `hourseal_waiting` `hourseal_keys` `lane.count` `lane.cuont` `jobs.sealed`"
    assert unknown(text, settings) == [missing, "keys", "lane.cuont"]


def test_the_examples_of_settings_are_accepted(tmp_path):
    examples = [block for paper in PAPERS for block in blocks(paper) if block.language == "toml"]
    assert len(examples) >= 3
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "password").chmod(0o600)
    authorities = str(authority(tmp_path, "ca"))
    (tmp_path / "here").mkdir()
    for number, example in enumerate(examples):
        file = tmp_path / f"{number}.toml"
        text = SECRET.sub(str(tmp_path / "password"), example.text)
        file.write_text(text.replace(CERTIFICATES, authorities))
        check = example.on({example.text: f"hourseal config check --config {file}"})
        done = run(check, tmp_path / "here", {})
        assert done.code == 0, f"{example}: {done.stderr}"
