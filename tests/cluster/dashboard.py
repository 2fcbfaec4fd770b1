"""The expressions of the dashboard's panels."""

import json

from world import ROOT


def panels() -> dict[str, str]:
    """Every expression of the dashboard, by its panel, for all workers."""
    board = json.loads((ROOT / "docker/grafana/dashboards/hourseal.json").read_text())
    found = [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", [])]
    assert len(found) > 50
    return {f"{title}: {expr}": expr.replace("$__rate_interval", "1m").replace("$instance", ".*") for title, expr in found}


def at_speed(query: str) -> str:
    """Of a Prometheus that scrapes four times a second, a rate is that of some seconds."""
    return query.replace("[1m]", "[5s]")
