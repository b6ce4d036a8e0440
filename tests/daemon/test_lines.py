"""What daemons and their runs say on stderr: as the schema says, as the log says, no secret."""

import json
from collections.abc import Callable
from datetime import datetime

import pytest

from stairways.core import events as e
from stairways.service.stairway.journal import decoded
from stairways.store.opening import open_store
from tests.cli.test_log_lines import VALIDATOR, Line
from tests.daemon.programs import Place

SECRET = "hunter2-and-more"  # noqa: S105 - made up


def shown(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def compared(place: Place, lines: list[Line]) -> set[tuple[str, str]]:
    """Hold every line that names a position to the event there; return what was compared."""
    store = open_store(place.url)
    events = {record.position: decoded(record) for record in store.read()}
    store.close()
    found = set()
    for line in (line for line in lines if line["position"] is not None):
        event = events[line["position"]]
        for name in set(line) & set(getattr(type(event), "__slots__", ())) - {"event"}:
            assert line[name] == shown(getattr(event, name)), (line, event)
            found.add((type(event).__name__, name))
    return found


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_every_line_is_as_the_schema_and_the_log_say_and_none_tells_a_secret(
    kind: str, new_place: Callable[[str], Place]
) -> None:
    place = new_place(kind)
    place.url = place.url.replace("postgres@", f"postgres:{SECRET}@")
    place.settle(cycles=2, every=2)
    settings = place.folder / "stairways.toml"
    gateway = f'gateway = "http://ada:{SECRET}@127.0.0.1:9"'
    settings.write_text(settings.read_text().replace("port = 0", f"port = 0\n{gateway}"))
    place.start()
    place.wait_for(e.ScheduleFinished)
    place.stop()

    text = place.said.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    wrong = [(line, error.message) for line in lines for error in VALIDATOR.iter_errors(line)]

    assert wrong == []
    assert SECRET not in text
    assert {
        ("LeaseTaken", "epoch"),
        ("ScheduleFired", "due"),
        ("ScheduleFired", "late"),
        ("ScheduleFired", "run"),
        ("ScheduleSkipped", "count"),
        ("ScheduleSkipped", "reason"),
        ("ScheduleFinished", "run"),
        ("RunStarted", "seed"),
        ("EvaluationFinished", "hold_rate"),
        ("CycleVerdict", "promoted"),
        ("RunFinished", "steps"),
    } <= compared(place, lines)
    (fired, *_) = place.events(e.ScheduleFired)
    of_runs = [line for line in lines if line["cycle"] is not None]
    assert {line["run"] for line in of_runs} >= {fired.run}
    assert None not in {line["run"] for line in of_runs}
    overlap = [line for line in lines if line["event"] == "skipped"]
    assert overlap[0]["run"] == fired.run
