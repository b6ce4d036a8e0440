"""Where one byte or one column was changed, verify finds out what it was."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from stairways.core.values import NEW, Position, StreamName
from stairways.service.verify.log import verify_log
from stairways.store.contract import Context, Encoded
from stairways.store.opening import driver_for, open_sql_store

CHANGES = [
    ("events", "type = 'GateDecided'", "events.type", "StepTaken", "GateDecided"),
    ("events", "schema = 3", "events.schema", "1", "3"),
    ("appends", "actor = 'adx'", "appends.actor", "ada", "adx"),
    ("appends", "correlation = 'c-2'", "appends.correlation", "c-1", "c-2"),
    ("appends", "append_id = 'b'", "appends.append_id", "a", "b"),
    ("appends", "causation = 1", "appends.causation", "3", "1"),
    ("appends", "causation = NULL", "record", None, None),
    ("appends", "recorded_at = recorded_at + 1", "appends.recorded_at", None, None),
    ("streams", "name = 'run-7'", "streams.name", "run-1", "run-7"),
]


@pytest.mark.parametrize("case", CHANGES, ids=lambda case: case[1])
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_field_that_was_changed_is_named_with_what_it_was(
    kind: str, new_log: Callable[[str], str], case: tuple[str, str, str, str | None, str | None]
) -> None:
    table, change, field, expected, actual = case
    url = new_log(kind)
    store = open_sql_store(url)
    context = Context(actor="ada", correlation="c-1", append_id="a", causation=Position(3))
    events = [Encoded("StepTaken", 1, b'{"step":%d}' % number) for number in range(4)]
    store.append(StreamName("run-1"), NEW, events, context)
    store.close()
    change_unguarded(url, kind, table, change)

    report = verify_log(url, processes=1)

    first = report.findings[0]
    assert first.field == field
    if expected is not None:
        assert (first.expected, first.actual) == (expected, actual)


def change_unguarded(url: str, kind: str, table: str, change: str) -> None:
    engine = driver_for(url).engine
    name = "change" if kind == "postgres" and table != "events" else "update"
    where = " ON " + table if kind == "postgres" else ""
    with engine.begin() as connection:
        connection.execute(text(f"DROP TRIGGER {table}_refuse_{name}{where}"))
        connection.execute(text(f"UPDATE {table} SET {change}"))
    engine.dispose()
