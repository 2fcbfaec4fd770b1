"""What a worker's /metrics says, as figures: totals, sums over workers that come and go, quantiles of a histogram."""

import re
from collections import Counter
from collections.abc import Iterable

SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Series = tuple[str, frozenset]


class Metrics(Counter):
    """Samples by name and labels. They add up and subtract as counters do, zeros and negatives included."""

    @classmethod
    def parse(cls, text: str) -> "Metrics":
        found = cls()
        for line in text.splitlines():
            if match := SAMPLE.match(line):
                name, labels, value = match.groups()
                found[name, frozenset(LABEL.findall(labels or ""))] = float(value)
        return found

    def plus(self, other: "Metrics") -> "Metrics":
        return Metrics({series: self[series] + other[series] for series in self.keys() | other.keys()})

    def minus(self, other: "Metrics") -> "Metrics":
        return Metrics({series: value - other[series] for series, value in self.items()})

    def sum(self, name: str, **labels: str) -> float:
        """Over all series of that name that have these labels."""
        wanted = set(labels.items())
        return sum(value for (found, has), value in self.items() if found == f"hourseal_{name}" and wanted <= has)

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """The sums for each value of one label; zeros left out."""
        sums: Counter = Counter()
        for (found, has), value in self.items():
            if found == f"hourseal_{name}" and set(labels.items()) <= has:
                sums[dict(has).get(label, "")] += value
        return {name: value for name, value in sorted(sums.items()) if value}

    def quantiles(self, name: str, *shares: float, **labels: str) -> list[float]:
        """Upper bounds of the buckets in which these shares of the observations end; NaN when there are none."""
        bounds = {float(le): count for le, count in self.by(f"{name}_bucket", "le", **labels).items()}
        most = max(bounds.values(), default=0)
        return [
            min((bound for bound, count in bounds.items() if count >= share * most), default=float("nan"))
            if most
            else float("nan")
            for share in shares
        ]


def total(several: Iterable[Metrics]) -> Metrics:
    whole = Metrics()
    for one in several:
        whole = whole.plus(one)
    return whole
