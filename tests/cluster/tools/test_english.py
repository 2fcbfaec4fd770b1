"""What a person reads is plain English: phrases that are not, and lines that are too long, are found. The rules stand in
CONTRIBUTING.md."""

import re
import subprocess

import pytest
from world import ROOT

LONGEST_LINE = 110  # as rustfmt's `max_width`, which does not look at comments and literals

# A comment or a sentence of a paper that begins so has a clause for its subject.
OPENINGS = r"(?:///|//!|//|^|(?<=[.:;] ))\s*(?:What|How|Who|Where|Whoever)\b(?![^.?!]*\?)"

# Each with what to write in its place.
PHRASES = {
    r"(?<!there )\b(?:is|are|was|were) no\b(?! (?:more|longer|less|later|wider|other)\b)": "is not a",
    r"\bwho(?:m|so)?ever\b": "a worker that, a person who",
    r"\banew\b": "again",
    r"\bas ever\b": "as usual",
    r"\bfor ever\b": "permanently",
    r"\bsees? to it\b": "ensures",
    r"\bmend(?:s|ed|ing)?\b": "fix",
    r"\bdraw(?:s|n|ing)?\b": "generate",
    r"\btill\b": "until",
    r"\btold\b": "reported, logged",
    r"\bsaid (?:so|aloud)\b": "reports, logs",
    r"\bof late\b": "recently",
    r"\bfrom now on\b": "from this version, from this offset",
    r"\bthings? to do\b": "work",
    r"\bthe like\b": "name them",
    r"\bwithout a word\b": "unnoticed",
    r"\bin the end\b": "finally",
    r"\bgoes? on\b": "continues",
    r"\bgets? on\b": "makes progress",
    r"\bon its own account\b": "itself",
    r"\bstands? (?:in|behind|before|beside|for)\b": "is in, is after, is before",
    r"\bthing\(s\)": "count and name them",
}


def papers() -> list[str]:
    """The sources, and what is written for people."""
    wanted = ["src", "docs", "schemas/*.md", "schemas/*.cql", "schemas/*.sql", "docker", "*.md", "Cargo.toml"]
    listed = subprocess.run(["git", "ls-files", *wanted], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split() if name.endswith((".rs", ".md", ".toml", ".cql", ".sql", ".yml"))]


# Phrases that are right where they are: `file: words of that line`.
ALLOWED: set[tuple[str, str]] = set()


def findings(name: str, text: str) -> list[str]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if name.endswith(".rs") and len(line) > LONGEST_LINE:
            found.append(f"{name}:{number}: {len(line)} characters")
        if any(name == file and words in line for file, words in ALLOWED):
            continue
        pattern = next((p for p in PHRASES if re.search(p, line, re.IGNORECASE)), None)
        if pattern:
            found.append(f"{name}:{number}: write: {PHRASES[pattern]}: {line.strip()}")
        elif (name.endswith(".md") or "//" in line) and re.search(OPENINGS, line.strip()):
            found.append(f"{name}:{number}: begin with the subject: {line.strip()}")
    return found


def test_what_a_person_reads_is_plain_english():
    found = [finding for name in papers() for finding in findings(name, (ROOT / name).read_text())]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "/// What an executor works with.",
        "    // It stops. How it does so is decided there.",
        '    #[error("it is no JSON object")]',
        "/// Wraps it anew.",
        "x" * 111,
    ],
)
def test_what_is_not_is_noticed(line):
    """The control."""
    assert len(findings("a.rs", f"/// Fine.\n{line}\n")) == 1


def test_a_question_and_a_field_are_no_finding():
    assert findings("README.md", "## What is gone?\nThere is no default.\n") == []


if __name__ == "__main__":
    import sys

    for name in papers():
        if name.startswith(tuple(sys.argv[1:])):
            print(*findings(name, (ROOT / name).read_text()), sep="\n", end="")
