"""The dashboard is what its source says, and a real Prometheus answers each of its queries."""

import json
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import prometheus as queries
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from ops.grafana.dashboard import dashboard, text
from ops.grafana.panels import ROWS
from stairways.core import events as e
from stairways.core.values import StreamName
from stairways.metrics.catalogue import OF_A_MODEL, OF_A_SCHEDULE, OF_THE_LOG
from stairways.metrics.exporter import Exporter
from stairways.metrics.rules import MetricsRules
from stairways.readmodels.projector import Projector
from stairways.service.stairway.journal import encoded
from stairways.store.opening import open_sql_store
from stairways.store.sql import SqlStore
from tests import trained
from tests.metrics.test_figures import fired, replayed, schedule_events, verified
from tests.operations.test_alerts import prometheus
from tests.prometheus_parts import answer, free_port, pushgateway, running, wait_for

FILE = Path(__file__).parents[2] / "ops" / "grafana" / "stairways.json"
QUERIES = sorted({query for _, panels in ROWS for panel in panels for query, _ in panel.queries})
NOW = datetime.now(UTC)


def test_the_file_is_up_to_date() -> None:
    made = "run: python -m ops.grafana.dashboard > ops/grafana/stairways.json"

    assert FILE.read_text(encoding="utf-8") == text(), made


def test_grafanas_own_schema_knows_every_word_of_the_dashboard() -> None:
    """Grafana's library reads what it knows into classes and leaves the rest out."""
    register_default_plugins()
    given = json.loads(FILE.read_text(encoding="utf-8"))
    read = Dashboard.from_json(given)

    assert list(lost(given, json.loads(JSONEncoder().encode(read)))) == []
    panels = [one for one in read.panels or [] if isinstance(one, Panel)]
    asked = [target for panel in panels for target in panel.targets or []]
    known = [target for target in asked if isinstance(target, queries.Dataquery)]
    assert len(known) == len(asked)
    assert sorted({target.expr for target in known}) == QUERIES
    given["panels"][1]["gridPoss"] = {}
    assert list(lost(given, json.loads(JSONEncoder().encode(read)))) == ["panels/1/gridPoss"]


Json = dict[str, Any] | list[Any] | str | float | bool | None


def lost(given: Json, kept: Json, place: str = "") -> Iterator[str]:
    """Yield where ``kept`` has not what was given."""
    match given, kept:
        case dict(), dict():
            for key, value in given.items():
                where = f"{place}/{key}".strip("/")
                if key in kept:
                    yield from lost(value, kept[key], where)
                else:
                    yield where
        case list(), list():
            assert len(given) == len(kept), place
            for number, (value, other) in enumerate(zip(given, kept, strict=True)):
                yield from lost(value, other, f"{place}/{number}")
        case _:
            if given != kept:
                yield place


def test_every_panel_has_a_number_a_place_and_a_description_of_its_own() -> None:
    panels = json.loads(FILE.read_text(encoding="utf-8"))["panels"]
    places = {
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    }
    area = sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in panels)

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(places) == area, "two panels lie on each other"
    assert max(x for x, _ in places) < 24
    assert all(panel.get("description") for panel in panels if panel["type"] != "row")


def test_every_metric_that_is_asked_for_is_made() -> None:
    known = {one.shown for one in (*OF_A_MODEL, *OF_A_SCHEDULE, *OF_THE_LOG)}
    named = {
        word
        for query in QUERIES
        for word in query.replace("(", " ").replace("{", " ").split()
        if word.startswith("stairways_")
    }

    assert named <= known


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStore]:
    """The log of a run that was really trained, audited, and kept by a schedule."""
    folder = tmp_path_factory.mktemp("dashboard")
    made = open_sql_store(f"sqlite:///{folder}/log.db")
    trained.train(made)
    today = [replace(fired(0), due=NOW - timedelta(days=one)) for one in (2, 1)]
    audits = (replayed("r1", "ledger", 0), verified(0))
    more: list[e.Event] = [*schedule_events(), *today, *audits]
    made.append(StreamName("operator"), None, encoded(more), trained.context())
    Projector(made).catch_up()
    yield made
    made.close()


@pytest.fixture(scope="module")
def answering(store: SqlStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that scrapes this log as the daemon serves it, and a gateway beside it."""
    folder = tmp_path_factory.mktemp("prometheus")
    with pushgateway(folder) as gateway:
        rules = MetricsRules(port=free_port(), gateway=gateway, interval=0.2)
        places = {
            "daemon:9464": f"127.0.0.1:{rules.port}",
            "pushgateway:9091": gateway.removeprefix("http://"),
        }
        address, command = prometheus(folder, places)
        exporter = Exporter(store, rules, trained.context, lambda: datetime.now(UTC), serve=True)
        with exporter, running(command, f"http://{address}/-/ready", folder):
            wait_for("a scrape of both", lambda: len(asked(address, CURRENT_MODELS)) == 2)
            yield address


CURRENT_MODELS = "stairways:model:current"


def asked(address: str, query: str) -> list[dict[str, Any]]:
    """Return what Prometheus answers to a query, with the variables of the dashboard filled."""
    filled = query.replace("$job", "stairways").replace("$model", ".*")
    page = answer(f"http://{address}/api/v1/query?{urllib.parse.urlencode({'query': filled})}")
    found: list[dict[str, Any]] = json.loads(page)["data"]["result"]
    return found


@pytest.mark.parametrize("query", QUERIES)
def test_prometheus_answers_a_query_with_data(answering: str, query: str) -> None:
    series = asked(answering, query)

    assert series, "no data"
    labels = [tuple(sorted(one["metric"].items())) for one in series]
    assert len(set(labels)) == len(labels)
    assert all(float(one["value"][1]) == float(one["value"][1]) for one in series)


def test_the_variables_of_the_dashboard_find_their_values(answering: str) -> None:
    variables = [v for v in dashboard()["templating"]["list"] if v["type"] == "query"]

    for variable in variables:
        inside = variable["query"]["query"].removeprefix("label_values(").removesuffix(")")
        metric, _, label = inside.rpartition(", ")
        assert {one["metric"][label] for one in asked(answering, metric)} - {""}


def test_a_figure_in_prometheus_is_the_one_of_the_log(answering: str, store: SqlStore) -> None:
    time.sleep(1.5)

    [(_, size)] = [one["value"] for one in asked(answering, "max(stairways_log_position)")]

    assert int(size) == store.head().size
