"""``stairways audit events --follow``: events as they come, each shown once, until interrupted."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import click

from stairways.bootstrap import App
from stairways.cli.asking import FOUND, say_damage
from stairways.cli.columns import ALL_OF_EVENTS, EVENTS
from stairways.cli.printing import Column, Form, Table
from stairways.core.values import Position
from stairways.service import audit
from stairways.service.audit import Filter, WatchedLog
from stairways.service.tabular import Cell, csv_lines, json_lines
from stairways.store.contract import Record

POLL = 0.5
"""Seconds between two looks at a log that is followed."""

AT_ONCE = 1_000
"""Events that are printed together."""

LEAST = {"position": 8, "stream": 19, "type": 17, "actor": 6}
"""Room that columns have from the first row on, so that few rows make them wider."""


def follow_events(
    app: App, log: WatchedLog, found: Iterable[Record], wanted: Filter, form: Form
) -> None:
    """Print ``found``, then what is written after ``log`` was opened; only an interruption ends it.

    Or damage: what of it is met is said on stderr at once, and ends the command with 1.
    """
    lines = _Lines(app.out.width, form)
    lines.print(found)
    seen = log.head().size
    while not log.found.count:
        time.sleep(POLL)
        with app.log(read_only=True) as store:
            later = WatchedLog(store)
            after, seen = Position(max(seen, wanted.after)), later.head().size
            lines.print(audit.events(later, replace(wanted, after=after)))
            if later.found.count:
                say_damage(later)
                raise SystemExit(FOUND)


def event_row(record: Record) -> dict[str, Cell]:
    """Return everything that a record holds."""
    return {**record._asdict(), "leaf": record.leaf.hex(), "payload": audit.payload(record)}


def told_row(record: Record) -> dict[str, Cell]:
    """Return a row for people, in which a sentence says what the payload does."""
    return {**record._asdict(), "says": audit.sentence(record)}


class _Lines:
    """Events as lines: a table that grows, JSON with an object on each, or CSV."""

    def __init__(self, width: int, form: Form) -> None:
        columns = [Column(key) if isinstance(key, str) else key for key in EVENTS]
        self._table = Table(columns, width, LEAST)
        self._form = form
        if form == "csv":
            click.echo(next(iter(csv_lines([], ALL_OF_EVENTS))), nl=False)

    def print(self, records: Iterable[Record]) -> None:
        """Print records, some at a time."""
        waiting = iter(records)
        while some := list(islice(waiting, AT_ONCE)):
            for line in self._of(some):
                click.echo(line)

    def _of(self, records: Sequence[Record]) -> Iterator[str]:
        match self._form:
            case "table":
                yield from self._table.lines(list(map(told_row, records)))
            case "json":
                for record in records:
                    yield next(json_lines([event_row(record)], ALL_OF_EVENTS)).removeprefix("[")
            case "csv":
                for line in list(csv_lines(map(event_row, records), ALL_OF_EVENTS))[1:]:
                    yield line.removesuffix("\n")
