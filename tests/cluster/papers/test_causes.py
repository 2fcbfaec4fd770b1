"""The tables of reasons have every code that the program knows, and no other."""

import re

import pytest
from world import ROOT

CAUSES, PARKED = ROOT / "docs/causes.md", ROOT / "docs/parked-partitions.md"
# The source of each table, its section, and the function or constant with the codes.
TABLES = [
    ("stream/step.rs", CAUSES, "Waiting", r"impl Wait \{(.*?)\n\}"),
    ("lane/quarantine.rs", CAUSES, "Quarantined records", r"fn code\(self\)(.*?)\n    \}"),
    ("stream/park.rs", PARKED, "Reasons", r"PARK_CODES: \[&str; \d+\] = \[(.*?)\];"),
    ("forget/decide/verdict.rs", CAUSES, "Refused and incomplete commands", r"impl Why \{(.*?)\n\}"),
    ("reader/opener.rs", CAUSES, "Outcomes of `open`", r"fn name\(&self\)(.*?)\n    \}"),
]


def known(source: str, where: str) -> list[str]:
    (body,) = re.findall(where, (ROOT / "src" / source).read_text(), re.DOTALL)
    return sorted(re.findall(r'"([a-z-]+)"', body))


def explained(text: str, section: str) -> list[str]:
    _, _, rest = text.partition(f"\n## {section}\n")
    body = rest.split("\n## ")[0]
    return sorted(re.findall(r"^\| `([a-z-]+)` \|", body, re.MULTILINE))


@pytest.mark.parametrize(("source", "paper", "section", "where"), TABLES, ids=lambda value: str(value).split("/")[-1][:20])
def test_each_code_is_explained_once(source, paper, section, where):
    codes = known(source, where)
    assert len(codes) >= 7
    assert explained(paper.read_text(), section) == codes


def test_a_code_that_is_not_explained_is_noticed():
    """The control."""
    text = CAUSES.read_text().replace("| `clocks` |", "| `watches` |")
    assert explained(text, "Waiting") != known("stream/step.rs", TABLES[0][3])
