"""Every link of every paper leads somewhere, and the book has every page of docs/ once."""

import re

from papers.links import GENERATED, anchors, broken, links, papers
from world import ROOT

DOCS = ROOT / "docs"
LONGEST_README, WIDEST = 170, 130


def test_every_link_leads_to_a_file_and_a_heading():
    found = {paper: links(paper.read_text()) for paper in papers()}
    assert sum(map(len, found.values())) > 70
    assert [link for paper in found for link in broken(paper, paper.read_text())] == []


def test_a_link_that_leads_nowhere_is_noticed():
    """The control."""
    text = "# One\n[a](#one) [b](#two) [c](docs/no-such.md) [d](docs/faq.md#no-such) [e](https://example.com/x)\n```\n[f](g)\n```\n"
    assert broken(ROOT / "README.md", text) == [
        "README.md: #two",
        "README.md: docs/no-such.md",
        "README.md: docs/faq.md#no-such",
    ]


def test_a_heading_is_named_as_by_the_hosts_of_repositories():
    text = "# What `SIGHUP` reads again\n## A: b, c\n## A: b, c\n```\n# no heading\n```\n"
    assert anchors(text) == {"what-sighup-reads-again", "a-b-c", "a-b-c-1"}


def test_the_book_has_every_page_once():
    pages = links((DOCS / "SUMMARY.md").read_text())
    there = {paper.name for paper in papers() if paper.parent == DOCS} - {"SUMMARY.md"}
    assert sorted(pages) == sorted(there | {page.name for page in GENERATED})


def test_each_alert_of_the_rules_has_a_section_in_the_runbook():
    rules = (ROOT / "docker/rules.yml").read_text()
    urls = re.findall(r'runbook_url: "docs/runbook.md#(\w+)"', rules)
    assert len(urls) > 15 and set(urls) <= anchors((DOCS / "runbook.md").read_text())


def test_each_exit_code_has_a_section_in_the_runbook():
    codes = re.findall(r"^\| (\d+) \|", (DOCS / "process.md").read_text(), re.MULTILINE)
    named = re.findall(r"^## Exit code (\d+)", (DOCS / "runbook.md").read_text(), re.MULTILINE)
    assert len(codes) == 7 and named == codes[1:]


def test_the_readme_is_short():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= LONGEST_README
    assert [line for line in lines if len(line) > WIDEST and not line.startswith("|")] == []
