"""The links of the repository's Markdown files, followed without a network: a file that exists, and a heading in it."""

import re
import subprocess
from pathlib import Path

from world import ROOT

# Made from the code, by commands that check them.
GENERATED = {ROOT / "docs/metrics.md", ROOT / "docs/logs.md"}


def papers() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split()]


def prose(text: str) -> str:
    """The text without blocks of code and without code in lines."""
    without_blocks = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", lambda code: code[0] if "](" not in code[0] else "", without_blocks)


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^()\s]+)\)", prose(text))


def anchors(text: str) -> set[str]:
    """The names of its headings as GitHub and mdBook make them: a repeated one has a number."""
    found: set[str] = set()
    blocks = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r"^#+ +(.*?) *$", blocks, re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        number = sum(1 for other in found if re.fullmatch(rf"{re.escape(name)}(-\d+)?", other))
        found.add(f"{name}-{number}" if number else name)
    return found


def broken(paper: Path, text: str) -> list[str]:
    """The links of a paper that lead nowhere; those to other hosts are not followed."""
    found = []
    for link in links(text):
        name, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (paper.parent / name).resolve() if name else paper
        if target in GENERATED and not target.exists():
            continue
        is_there = target.exists() and (not anchor or anchor in anchors(text if target == paper else target.read_text()))
        if not is_there:
            found.append(f"{paper.relative_to(ROOT)}: {link}")
    return found
