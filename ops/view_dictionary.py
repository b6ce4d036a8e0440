"""Write docs/views.md, the data dictionary of the views, from their definition and the events.

Run it after changing a view: ``python -m ops.view_dictionary > docs/views.md``.
"""

import textwrap
from collections.abc import Sequence

from ops.event_dictionary import fields_of
from stairways.codec import CLASSES
from stairways.store.asking import FUNCTIONS
from stairways.store.event_views import EVENT_VIEWS
from stairways.store.summary_views import OTHER_VIEWS
from stairways.store.view import BASE, TYPES, Column, EventView, OtherView
from stairways.store.views import about

HEADER = """# Views for your own tools

Whatever speaks SQL can read the log: `psql`, `sqlite3`, DuckDB, pandas, a BI tool. These views have
the same names and columns on SQLite and PostgreSQL, and they read the events themselves, never a
table that somebody could fill otherwise. They are a promise: a column may be added at the end of a
view, none is renamed or taken away. The text is made by `ops/view_dictionary.py`; tests hold it,
and both databases, to the same list.

```console
$ stairways audit sql "SELECT run, cycle, profit FROM audit_cycles WHERE verdict = 'rejected'"
$ psql "$URL" -c "SELECT gate, count(*) FROM audit_gates WHERE NOT passed GROUP BY gate"
$ sqlite3 -readonly stairways.db "SELECT * FROM audit_promotions"
$ stairways audit views                       # which there are, and what each holds
```

In DuckDB, attach a PostgreSQL log and ask its views as they are. A SQLite log says nothing of the
types of a view's columns, so there they would come as text, numbers to 15 digits, and `audit_fills`
not at all. `stairways audit views --duckdb` writes the same views in DuckDB's own SQL, exact:

```console
$ stairways audit views --duckdb > views.sql
$ duckdb -cmd "ATTACH 'stairways.db' AS log (TYPE sqlite, READ_ONLY)" -cmd ".read views.sql"
D SELECT run, cycle, profit, profit_low, skill FROM audit_skill;
```

- **Nothing is rehashed by SQL.** Whoever can write to the database behind its guards can change
  what a view says. `stairways verify` finds that; `stairways audit sql` verifies a log of up to
  `audit.rehash_up_to` events before it answers.
- Times are UTC: on SQLite text such as `2026-01-07T14:30:00.000000Z`, which sorts as it should, on
  PostgreSQL `timestamp with time zone`.
- Money is whole micros, millionths of a US dollar: divide by 1000000.0 for dollars.
- Shares and rates are fractions: 0.75 is 75 %. Truth values are 0 and 1 on SQLite.
- A field of several values is JSON text: by symbol in the order of `audit_data_sets.symbols`.
  `audit_fills` has one row a symbol.
- Columns that an older version of an event did not have are empty. A zero character in a text,
  which no SQL text can hold, is shown as U+FFFD.
- Steps of an attempt: join `audit_steps.position` between `first_position` and `last_position` of
  `audit_cycles` with the same `run`.
- What a question costs in PostgreSQL: rows are counted, by type or `run` too, without reading what
  the events say, which costs ten times as much; naming the run reads that run alone. `stream`,
  `actor` and times of `audit_events` have to be looked up for each event: ask `audit_stream_events`
  for them, which has the same rows, found by their stream, and is slow where the newest are asked
  for (1.3 s instead of 1 ms). Of 1,200,000 events, beside other work: the 23 of the stream
  `operator` 0.002 s, and 8 to 12 s by `audit_events`; `SELECT count(*)` of `audit_events` 0.1 s. Of
  680,000: all that the 40,000 steps of one run say 7 s.
- Payloads of steps that were moved to sealed segments are not in the table any more. A view that
  needs one fails (`malformed JSON`, `invalid input syntax for type json`) rather than leaving the
  row out; `stairways audit steps` reads segments too.
- Functions that `stairways audit sql` lets be asked, as far as the database has them: {functions}.

| kind | on SQLite | on PostgreSQL |
|---|---|---|
"""

BOUNDS = {0: "lower bound of: ", 2: "upper bound of: "}
"""What the first and the last of three numbers are."""

SHARED = {
    "position": "of the event",
    "recorded_at": "when it was written",
    "actor": "who or what wrote it",
    "run": "name of the run",
}


def dictionary() -> str:
    """Return the whole page."""
    kinds = "".join(f"| {kind} | {ours} | {theirs} |\n" for kind, (ours, theirs) in TYPES.items())
    views = [*(_of_events(view) for view in EVENT_VIEWS), *(_of_others(one) for one in OTHER_VIEWS)]
    shared = ", ".join(f"`{column.name}` ({SHARED[column.name]})" for column in BASE)
    known = ", ".join(f"`{name}`" for name in sorted(FUNCTIONS))
    old = next(line for line in HEADER.splitlines() if "{functions}" in line)
    line = textwrap.fill(old.replace("{functions}", known), 100, subsequent_indent="  ")
    header = HEADER.replace(old, line)
    return f"{header}{kinds}\nEvery view of one type of event begins with {shared}.\n" + "".join(
        sorted(views)
    )


def _of_events(view: EventView) -> str:
    event = CLASSES[view.type]
    meanings = {field.name: field.meaning for field in fields_of(event)}
    rows = [
        (column.name, column.kind, _bound(column) + (meanings.get(column.field) or _shared(column)))
        for column in view.columns
    ]
    return _section(view.name, about(view), rows)


def _shared(column: Column) -> str:
    return SHARED.get(column.name, "")


def _bound(column: Column) -> str:
    return BOUNDS.get(1 if column.place is None else column.place, "")


def _of_others(view: OtherView) -> str:
    rows = [(column.name, column.kind, meaning) for column, meaning in view.columns]
    return _section(view.name, about(view), rows)


def _section(name: str, holds: str, rows: Sequence[tuple[str, str, str]]) -> str:
    lines = "".join(
        f"| `{column}` | {kind} | {meaning.replace(' | ', ' / ')} |\n"
        for column, kind, meaning in rows
    )
    return f"\n## {name}\n\n{holds}\n\n| column | kind | meaning |\n|---|---|---|\n{lines}"


if __name__ == "__main__":
    print(dictionary(), end="")
