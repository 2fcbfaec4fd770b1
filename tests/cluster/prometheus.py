"""A real Prometheus that scrapes workers and evaluates docker/rules.yml, with every duration divided by one factor."""

import json
import math
import os
import re
import time
import urllib.parse
import urllib.request
from pathlib import Path

from children import Child, free_ports, wait_until
from world import ROOT

RULES = ROOT / "docker/rules.yml"
SCRAPES = ROOT / "docker/prometheus.yml"
# A minute becomes a second.
FACTOR = 60
DURATION = re.compile(r"(\bfor: |\[|\boffset |_interval: )(\d+)([smhd])\b")
MILLISECONDS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def faster(text: str, factor: int) -> str:
    """Divides each duration. Numbers without a unit, such as ages in seconds, stay as they are."""
    return DURATION.sub(lambda it: f"{it[1]}{int(it[2]) * MILLISECONDS[it[3]] // factor}ms", text)


def alerts(text: str) -> list[str]:
    return re.findall(r"^ *- alert: (\w+)$", text, flags=re.MULTILINE)


def program() -> str:
    return os.environ.get("PROMETHEUS") or "prometheus"


class Prometheus(Child):
    def __init__(self, folder: Path, ports: list[int], *, rules: str | None = None, factor: int = FACTOR):
        folder.mkdir()
        (folder / "rules.yml").write_text(faster(rules or RULES.read_text(), factor))
        (interval,) = re.findall(r"^  scrape_interval: .*$", faster(SCRAPES.read_text(), factor), flags=re.MULTILINE)
        targets = json.dumps([f"127.0.0.1:{port}" for port in ports])
        (folder / "prometheus.yml").write_text(
            f"global:\n{interval}\n{interval.replace('scrape', 'evaluation')}\n{interval.replace('interval', 'timeout')}\n"
            f"rule_files: [rules.yml]\n"
            f"scrape_configs:\n  - job_name: hourseal\n    static_configs:\n      - targets: {targets}\n"
        )
        self._address = f"127.0.0.1:{free_ports(1)[0]}"
        options = {
            "config.file": folder / "prometheus.yml",
            "storage.tsdb.path": folder / "data",
            "web.listen-address": self._address,
            "log.level": "warn",
        }
        super().__init__([program(), *(f"--{name}={value}" for name, value in options.items())], log=folder / "prometheus.log")

    def query(self, expression: str) -> list[tuple[dict, float]]:
        """Each series of the answer with its value; empty while nobody answers."""
        found = self._ask("query", query=expression)
        return [(series["metric"], float(series["value"][1])) for series in found]

    def has_shown(self, expression: str, seconds: float) -> bool:
        """Whether a panel with this expression had a number to show at any time within so many seconds until now."""
        now = time.time()
        found = self._ask("query_range", query=expression, start=now - seconds, end=now, step=0.5)
        return any(math.isfinite(float(value)) for series in found for _, value in series["values"])

    def _ask(self, what: str, **parameters) -> list[dict]:
        url = f"http://{self._address}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)["data"]["result"]
        except OSError:
            return []

    def firing(self) -> set[str]:
        return {labels["alertname"] for labels, _ in self.query('ALERTS{alertstate="firing"}')}

    def fired(self) -> set[str]:
        """The alerts that have fired since it was started."""
        return {labels["alertname"] for labels, _ in self.query('count_over_time(ALERTS{alertstate="firing"}[1h])')}

    def await_evaluations(self, count: int):
        """Waits until it has evaluated the rules so often with what it has scraped."""
        looks = lambda: sum(value for _, value in self.query('count_over_time(up{job="hourseal"}[1h])'))  # noqa: E731
        before = looks()
        wait_until(lambda: looks() >= before + count, 120, f"{count} scrapes", alive=self)
