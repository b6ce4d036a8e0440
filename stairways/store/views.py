"""Views for an auditor's own tools: the log's events as plain columns, on both databases.

Each view reads the events themselves, never a table that somebody could fill otherwise. Names,
columns and types are a promise: a column may be added at the end of a view, none is renamed or
taken away. ``docs/views.md`` is the dictionary; tests hold it and both databases to this list.
Views hold no data, so a migration that changes one drops and makes all of them anew.
"""

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, text

from stairways.codec import CLASSES
from stairways.store.event_views import EVENT_VIEWS, IN_PAYLOAD
from stairways.store.roles import AUDITOR, WRITER
from stairways.store.summary_views import OTHER_VIEWS, PARTS
from stairways.store.tables import NOT_BULK
from stairways.store.view import BASE, TYPES, Column, EventView, OtherView

IN_A_SEGMENT = "this payload is in a sealed segment: ask stairways audit"
"""What a query fails with where it needs a payload that is no longer in the table."""


_FOUND_BY_TYPE = """
{appended}{payload}
WHERE e.type = '{type}' AND {not_bulk}"""
_FOUND_BY_STREAM = {
    "sqlite": """
FROM streams s
CROSS JOIN appends a
CROSS JOIN events e{payload}
WHERE a.stream = s.id AND e.position BETWEEN a.first AND a.last AND +e.type = '{type}'""",
    "postgresql": """
FROM streams s
JOIN appends a ON a.stream = s.id
LEFT JOIN events e ON e.position BETWEEN a.first AND a.last{payload}
WHERE e.type IS NOT DISTINCT FROM '{type}'""",
}
"""From streams to events, so that what is wanted of one run reads that run alone, and of all reads
each event once. SQLite reads by position only if the type has a plus before it; else it would index
all events each time. PostgreSQL, which takes an append for a ninth of the log, would rather look
for each event's append among all; an outer join that nothing makes an inner one forbids it."""


RECORD_COLUMNS = (
    *("position", "stream", "version", "type", "schema", "recorded_at"),
    *("actor", "correlation", "causation", "append_id", "payload", "leaf"),
)
RECORDS = """
SELECT e.position, s.name AS stream, a.version + e.position - a.first AS version, e.type,
       e.schema, a.recorded_at, a.actor, a.correlation, a.causation, a.append_id, e.payload, e.leaf
FROM events e
JOIN appends a ON a.first = (SELECT max(b.first) FROM appends b WHERE b.first <= e.position)
JOIN streams s ON s.id = a.stream
"""
"""What the view ``records`` asks, which the first migration makes."""


def all_views() -> list[EventView | OtherView]:
    """Return every view, each after those it reads."""
    return [*EVENT_VIEWS, *OTHER_VIEWS]


def names() -> list[str]:
    """Return the names of all views, each after those it reads."""
    return [one.name for one in all_views()]


def about(view: EventView | OtherView) -> str:
    """Return in a sentence what a view holds."""
    if isinstance(view, OtherView):
        return view.about
    return f"{view.type}: {(CLASSES[view.type].__doc__ or '').splitlines()[0].replace('``', '`')}"


def columns_of(view: EventView | OtherView) -> list[Column]:
    """Return the columns of a view, in order."""
    if isinstance(view, OtherView):
        return [column for column, _ in view.columns]
    return [*BASE, *view.columns]


def statements(database: str) -> Iterator[str]:
    """Yield what makes every view on ``sqlite`` or ``postgresql``, none of which is there.

    For ``duckdb``, which has no log of its own: over the tables of one that is attached as ``log``.
    """
    make = "CREATE OR REPLACE VIEW" if database == "duckdb" else "CREATE VIEW"
    for name, query in queries(database):
        yield f"{make} {name} AS{query}"


def queries(database: str) -> Iterator[tuple[str, str]]:
    """Yield the name of every view and what it asks, each after those it reads."""
    asking = {"sqlite": _on_sqlite, "postgresql": _on_postgres, "duckdb": _on_duckdb}
    for view in EVENT_VIEWS:
        yield view.name, asking[database](view)
    for other in OTHER_VIEWS:
        query = other.query
        for name, words in PARTS[database].items():
            query = query.replace(f"{{{name}}}", words)
        yield other.name, query


def asked_columns() -> dict[str, str]:
    """Return the columns of every view, and of ``records``, as one asks for them."""
    quoted = {
        one.name: ", ".join(f'"{column.name}"' for column in columns_of(one)) for one in all_views()
    }
    return {**quoted, "records": ", ".join(RECORD_COLUMNS)}


def make_anew(connection: Connection) -> None:
    """Drop every view that is there, make all, and let the roles that are there read them."""
    database = connection.dialect.name
    for name in reversed(names()):
        connection.execute(text(f"DROP VIEW IF EXISTS {name}"))
    for statement in statements(database):
        connection.exec_driver_sql(statement)
    if database == "postgresql":
        present = connection.execute(text("SELECT rolname FROM pg_roles")).scalars().all()
        for role in {WRITER, AUDITOR} & set(present):
            connection.execute(text(f"GRANT SELECT ON {', '.join(names())} TO {role}"))


def _on_sqlite(view: EventView) -> str:
    payload = f"coalesce(CAST(e.payload AS TEXT), '{IN_A_SEGMENT}')"
    if not view.is_bulk:  # there is no text in those
        payload = rf"replace({payload}, '\u0000', '\ufffd')"
    cells = ["e.position AS position", f"{PARTS['sqlite']['recorded_at']} AS recorded_at"]
    cells += ["a.actor AS actor"]
    for column in view.columns:
        type_ = TYPES[column.kind][0]
        value = f"json_extract({payload}, '$.{column.field}{_place(column)}')"
        if column.name == "run" and view.type not in IN_PAYLOAD:
            value = "substr(s.name, 5)"
        cells.append(f'CAST({value} AS {type_}) AS "{column.name}"')
    return "\nSELECT " + ",\n       ".join(cells) + _from(view, "sqlite", "")


def _on_duckdb(view: EventView) -> str:
    """Return a view's query with DuckDB's own words, in which every column has its type."""
    payload = f"coalesce(decode(e.payload), '{IN_A_SEGMENT}')"
    cells = ["e.position AS position", f"{PARTS['duckdb']['recorded_at']} AS recorded_at"]
    cells += ["a.actor AS actor"]
    for column in view.columns:
        value = f"json_extract_string({payload}, '$.{column.field}{_place(column)}')"
        if column.name == "run" and view.type not in IN_PAYLOAD:
            value = "substr(s.name, 5)"
        cells.append(f'CAST({value} AS {TYPES[column.kind][1]}) AS "{column.name}"')
    found = PARTS["duckdb"]["appended"]
    return "\nSELECT " + ",\n       ".join(cells) + f"\n{found}\nWHERE e.type = '{view.type}'"


def _place(column: Column) -> str:
    return "" if column.place is None else f"[{column.place}]"


def _on_postgres(view: EventView) -> str:
    cells = ["e.position AS position", f"{PARTS['postgresql']['recorded_at']} AS recorded_at"]
    cells += ["a.actor AS actor"]
    told = dict[str, str]()
    for column in view.columns:
        type_ = TYPES[column.kind][1]
        if column.name == "run" and view.type not in IN_PAYLOAD:
            cells.append("substr(s.name, 5) AS run")
        elif column.place is None:
            cells.append(f'p."{column.field}" AS "{column.name}"')
            told[column.field] = type_
        else:
            value = f'(p."{column.field}"::jsonb ->> {column.place})::{type_}'
            cells.append(f'{value} AS "{column.name}"')
            told[column.field] = "text"
    parsed = _read_if_asked(told)
    return "\nSELECT " + ",\n       ".join(cells) + _from(view, "postgresql", parsed)


def _read_if_asked(told: Mapping[str, str]) -> str:
    """Return the join with what a payload tells, by field and type, as PostgreSQL reads it.

    The sums are of one row each and change nothing. Because of them PostgreSQL knows that the join
    neither adds nor takes rows, and leaves it out where no field is asked for: counting the steps
    of a large log then parses none of its JSON.
    """
    text = (
        f"replace(coalesce(convert_from(e.payload, 'UTF8'), '{IN_A_SEGMENT}'),"
        r" '\u0000', '\ufffd')"
    )
    fields = ", ".join(f'"{field}" {type_}' for field, type_ in told.items())
    sums = ", ".join(
        f'{"bool_and" if type_ == "boolean" else "max"}(r."{field}") AS "{field}"'
        for field, type_ in told.items()
    )
    record = f"jsonb_to_record({text}::jsonb) AS r({fields})"
    return f"\nLEFT JOIN LATERAL (SELECT {sums}\n    FROM {record}) p ON true"  # noqa: S608 - our own names


def _from(view: EventView, database: str, payload: str) -> str:
    template = _FOUND_BY_STREAM[database] if view.is_bulk else _FOUND_BY_TYPE
    return template.format(
        appended=PARTS[database]["appended"],
        payload=payload,
        type=view.type,
        not_bulk=NOT_BULK.replace("type", "e.type"),
    )
