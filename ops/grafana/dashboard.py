"""Write the Grafana dashboard: ``python -m ops.grafana.dashboard > ops/grafana/stairways.json``.

Rows and panels are listed in ``panels``; here places on the screen, identifiers and the rest of
Grafana's JSON are worked out. A test asks a real Prometheus every query and compares the file.
"""

import json
from collections.abc import Iterator
from typing import Any

from ops.grafana.panels import ROWS, Panel, Query

WIDTH = 24
SCHEMA = 39  # of Grafana's dashboard JSON (Grafana 10.4 and later read it)
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana reads it."""
    return {
        "title": "Stairways",
        "uid": "stairways",
        "description": "The log of Stairways in figures. Made by ops/grafana/dashboard.py.",
        "tags": ["stairways"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": list(_variables())},
        "panels": list(_panels()),
    }


def _variables() -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    for name, query, several in (
        ("job", "label_values(stairways_log_position, job)", False),
        ("model", 'label_values(stairways_model_position{job="$job"}, model)', True),
    ):
        yield {
            "name": name,
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": query, "refId": name},
            "refresh": 2,
            "multi": several,
            "includeAll": several,
            **({"allValue": ".*"} if several else {}),
        }


def _panels() -> Iterator[dict[str, Any]]:
    """Yield a heading for each row and its panels, from left to right and down."""
    number, top = 1, 0
    for title, panels in ROWS:
        yield _heading(title, number, top)
        number, top, left, deepest = number + 1, top + 1, 0, 0
        for panel in panels:
            if left + panel.width > WIDTH:
                top, left, deepest = top + deepest, 0, 0
            yield _panel(panel, number, left, top)
            number, left, deepest = number + 1, left + panel.width, max(deepest, panel.height)
        top += deepest


def _heading(title: str, number: int, top: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1},
        "panels": [],
    }


def _panel(panel: Panel, number: int, left: int, top: int) -> dict[str, Any]:
    base: dict[str, Any] = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "gridPos": {"x": left, "y": top, "w": panel.width, "h": panel.height},
    }
    if panel.kind == "alertlist":
        filters = {"firing": True, "pending": True}
        return base | {"options": {"alertName": "Stairways", "stateFilter": filters}}
    return base | {
        "datasource": SOURCE,
        "targets": [_target(panel, *one) for one in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        **({"transformations": [{"id": "merge", "options": {}}]} if panel.kind == "table" else {}),
    }


def _target(panel: Panel, number: int, query: Query) -> dict[str, Any]:
    expression, legend = query
    table = panel.kind == "table"
    return {
        "refId": chr(ord("A") + number),
        "datasource": SOURCE,
        "expr": expression,
        "legendFormat": legend,
        "instant": table or panel.kind == "stat",
        "range": panel.kind == "timeseries",
        **({"format": "table"} if table else {}),
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_from is not None:
        steps.append({"color": "red", "value": panel.red_from})
    return {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}


def text() -> str:
    """Return the dashboard as the file has it."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(text(), end="")
