"""Log lines: each is one JSON object with a code that docs/logs.md has."""

import json
import re

from world import ROOT

ROW = re.compile(r"^\| (HS\d{4}) \| ([^|]*) \|", re.MULTILINE)


def documented() -> dict[str, set[str]]:
    """The levels of each code."""
    table = ROW.findall((ROOT / "docs/logs.md").read_text())
    return {code: set(re.findall(r"error|warn|info|debug", levels)) for code, levels in table}


def parsed(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def faults(lines: list[dict]) -> list[dict]:
    """Lines without a documented code, or at a level that its row does not name."""
    known = documented()

    def is_right(line: dict) -> bool:
        levels = known.get(line.get("code"))
        return levels is not None and (not levels or line["level"].lower() in levels)

    return [line for line in lines if not is_right(line)]
