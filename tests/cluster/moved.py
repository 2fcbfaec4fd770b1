"""Which of a worker's series moved in a story, which did not, and what a query selects of them."""

import re
import threading
from collections.abc import Iterable
from contextlib import contextmanager
from typing import NamedTuple

from metrics import Metrics, Series

# Of a histogram, only the number of observations is looked at.
PARTS = re.compile(r"_(bucket|sum)$")
SELECTOR = re.compile(r"\b((?:hourseal|process)_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\bby\s*\(([^)]*)\)")
# Which lane or partition it was does not matter.
NUMBERS = {"lane", "partition"}
# Added by Prometheus.
SCRAPED = {"instance", "job"}


class Excuse(NamedTuple):
    """Series that a story leaves still: all of a name that have these labels, and where they are seen to move."""

    name: str
    labels: dict[str, str]
    reason: str

    def covers(self, series: Series) -> bool:
        name, labels = series
        return name == f"hourseal_{self.name}" and set(self.labels.items()) <= labels


class Moves:
    """Every series of some workers, lanes and partitions apart, and which of them had another value than 0."""

    def __init__(self):
        self.seen: set[Series] = set()
        self.moved: set[Series] = set()

    def look(self, text: str):
        for (name, labels), value in Metrics.parse(text).items():
            if not PARTS.search(name):
                series = name, frozenset((label, text) for label, text in labels if label not in NUMBERS)
                self.seen.add(series)
                if value:
                    self.moved.add(series)

    def faults(self, excuses: Iterable[Excuse]) -> list[str]:
        """Series that never moved and have no excuse, and excuses for what is not there."""
        excuses = list(excuses)
        still = {series for series in self.seen - self.moved if not any(excuse.covers(series) for excuse in excuses)}
        useless = [excuse for excuse in excuses if not any(excuse.covers(series) for series in self.seen)]
        return sorted(f"{written(series)} never moves" for series in still) + [f"{excuse} is for nothing" for excuse in useless]


def written(series: Series) -> str:
    name, labels = series
    return name + "{" + ",".join(f'{label}="{value}"' for label, value in sorted(labels)) + "}"


@contextmanager
def watched(moves: Moves, workers: list, every: float = 0.1):
    """Scrapes the workers time and again while the body runs; more may be added to the list meanwhile."""
    over = threading.Event()

    def look():
        while not over.wait(every):
            for worker in list(workers):
                status, text = worker.get("/metrics")
                if status == 200:
                    moves.look(text)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    for worker in workers:
        moves.look(worker.metrics())


class Exported:
    """What a scrape has: the labels of each metric, and their values."""

    def __init__(self, text: str):
        self.values: dict[str, dict[str, set[str]]] = {}
        for name, labels in Metrics.parse(text):
            known = self.values.setdefault(name, {})
            for label, value in labels:
                known.setdefault(label, set()).add(value)

    def families(self) -> set[str]:
        """Names without what a histogram adds to them."""
        return {re.sub(r"_(bucket|sum|count)$", "", name) for name in self.values}

    def faults(self, expression: str) -> list[str]:
        """What an expression names and the scrape has not."""
        found, labels = [], set(SCRAPED)
        selectors = SELECTOR.findall(expression)
        for name, matchers in selectors:
            if name not in self.values:
                found.append(f"there is no {name}")
                continue
            labels |= self.values[name].keys()
            for label, how, value in MATCHER.findall(matchers):
                found.extend(self._wrong(name, label, how, value))
        grouped = {label.strip() for group in GROUPING.findall(expression) for label in group.split(",")}
        return found + [f"there is no label {label}" for label in sorted(grouped - labels) if selectors]

    def _wrong(self, name: str, label: str, how: str, value: str) -> list[str]:
        if label in SCRAPED:
            return []
        if label not in self.values[name]:
            return [f"{name} has no label {label}"]
        wanted = value.split("|") if "~" in how else [value]
        return [f"{name} has no {label} {one!r}" for one in wanted if one not in self.values[name][label]]
