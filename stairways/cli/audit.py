"""``stairways audit``: questions to the log, for people, programs and spreadsheets."""

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

import click

from stairways.bootstrap import App
from stairways.cli.columns import (
    ALL_OF_CYCLES,
    ALL_OF_EVENTS,
    ALL_OF_RUNS,
    ALL_OF_STEPS,
    ALL_OF_VALIDATION_STEPS,
    CYCLES,
    EVENTS,
    GATES,
    RUNS,
    STEPS,
)
from stairways.cli.printing import Form, cell_text, form_options, print_json, print_rows, utc_text
from stairways.codec import CLASSES
from stairways.core.values import Position
from stairways.service import audit
from stairways.service.audit import Filter, Shown
from stairways.service.runs import LATEST, find_run
from stairways.service.tabular import Cell
from stairways.store.contract import START, Record

T = TypeVar("T")

FOUND = 1
ROWS_FOR_PEOPLE = 50


@click.group()
def command() -> None:
    """Ask the log: what was trained, decided and promoted, when, by whom, and on what evidence.

    RUN is the name of a run, or `latest`, which is also what is meant when it is left out.
    Times are UTC.
    """


@command.command()
@form_options
@click.pass_obj
def runs(app: App, form: Form) -> None:
    """List all runs, newest first."""
    with app.log(read_only=True) as store:
        print_rows(app.out, audit.runs(store), RUNS if form == "table" else ALL_OF_RUNS, form)


@command.command(short_help="List every attempt at a cycle of a run.")
@click.argument("run", default=LATEST)
@form_options
@click.pass_obj
def cycles(app: App, run: str, form: Form) -> None:
    """List every attempt at a cycle of RUN, with its results and verdict."""
    with app.log(read_only=True) as store:
        rows = audit.cycles(store, find_run(store, run))
        print_rows(app.out, rows, CYCLES if form == "table" else ALL_OF_CYCLES, form)


@command.command(short_help="List what the gates measured and decided.")
@click.argument("run", default=LATEST)
@click.option("--cycle", type=int, help="Only this cycle.")
@form_options
@click.pass_obj
def gates(app: App, run: str, cycle: int | None, form: Form) -> None:
    """List what each gate of RUN measured, against which limit, and where the evidence is."""
    with app.log(read_only=True) as store:
        print_rows(app.out, audit.gates(store, find_run(store, run), cycle), GATES, form)


def _moment(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    """Return an ISO time; without a zone it is UTC."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no time such as 2026-01-07T14:30.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@command.command(short_help="List events, oldest first.")
@click.option("--run", metavar="RUN", help="Only what belongs to this run.")
@click.option("--cycle", type=int, help="Only this cycle of the run (of the latest by default).")
@click.option("--stream", help="Only this stream.")
@click.option(
    "--type",
    "types",
    multiple=True,
    type=click.Choice(sorted(CLASSES), case_sensitive=False),
    metavar="TYPE",
    help="Only this type of event; may be repeated.",
)
@click.option("--actor", help="Only what this person or program recorded.")
@click.option("--since", callback=_moment, metavar="TIME", help="Recorded at or after this time.")
@click.option("--until", callback=_moment, metavar="TIME", help="Recorded before this time.")
@click.option("--after", type=click.IntRange(0), default=0, help="Only after this position.")
@click.option("--to", type=click.IntRange(0), help="Only up to this position.")
@click.option("--tail", type=click.IntRange(1), help="Only the last so many.")
@click.option("--limit", type=click.IntRange(0), help="At most so many; 0 for all.")
@form_options
@click.pass_obj
def events(app: App, /, form: Form, tail: int | None, limit: int | None, **wanted: Any) -> None:  # noqa: ANN401 - the fields of Filter
    """List events, oldest first. Tables show 50 unless told otherwise, JSON and CSV all."""
    with app.log(read_only=True) as store:
        if wanted["run"] or wanted["cycle"] is not None:
            wanted["run"] = find_run(store, wanted["run"] or LATEST)
        wanted["after"] = Position(wanted["after"] or START)
        found = audit.events(store, Filter(**wanted))
        if tail is not None:
            found = iter(deque(found, maxlen=tail))
            limit = 0
        rows = map(_event_row, _bounded(found, limit, form))
        print_rows(app.out, rows, EVENTS if form == "table" else ALL_OF_EVENTS, form)


@command.command(short_help="List every step of a run.")
@click.argument("run", default=LATEST)
@click.option("--cycle", type=int, help="Only this cycle.")
@click.option("--validation", is_flag=True, help="Steps on validation bars instead.")
@click.option("--limit", type=click.IntRange(0), help="At most so many; 0 for all.")
@form_options
@click.pass_obj
def steps(
    app: App, form: Form, run: str, cycle: int | None, limit: int | None, *, validation: bool
) -> None:
    """List every step of RUN: decision, fills, books, reward, and both lanes of the controller."""
    with app.log(read_only=True) as store:
        found = audit.steps(store, find_run(store, run), cycle, validation=validation)
        rows = _bounded(found, limit, form)
        everything = ALL_OF_VALIDATION_STEPS if validation else ALL_OF_STEPS
        print_rows(app.out, rows, STEPS if form == "table" else everything, form)


@command.command(short_help="Show one record in full and check its hash.")
@click.argument("position", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def show(app: App, position: int, *, as_json: bool) -> None:
    """Show the record at POSITION in full, and whether it is what was hashed when written.

    Exits with 1 when it is not.
    """
    with app.log(read_only=True) as store:
        found = audit.show(store, Position(position))
    if as_json:
        print_json(_shown_json(found))
    else:
        _print_shown(found)
    raise SystemExit(0 if found.intact else FOUND)


def _bounded(found: Iterable[T], limit: int | None, form: Form) -> Iterator[T]:
    """Yield at most ``limit`` items, and say so when there are more."""
    most = limit if limit is not None else ROWS_FOR_PEOPLE if form == "table" else 0
    items = iter(found)
    if not most:
        yield from items
        return
    yield from islice(items, most)
    if next(items, None) is not None:
        click.echo(f"Only the first {most} are shown; --limit 0 shows all.", err=True)


def _event_row(record: Record) -> dict[str, Cell]:
    return {**record._asdict(), "leaf": record.leaf.hex(), "payload": audit.payload(record)}


def _shown_json(found: Shown) -> dict[str, object]:
    return {
        **_event_row(found.record),
        "record": found.content.decode(),
        "computed_leaf": found.computed.hex(),
        "intact": found.intact,
    }


def _print_shown(found: Shown) -> None:
    """Print a record field by field, then its payload, then what to hash."""
    row = _event_row(found.record)
    said = row.pop("payload")
    for key, cell in row.items():
        text = utc_text(cell) if isinstance(cell, datetime) else cell_text(cell)
        click.echo(f"{key:<12} {text}")
    click.echo()
    print_json(said)
    click.echo(f"\n{found.content.decode()}")
    verdict = "is the stored leaf" if found.intact else "is NOT the stored leaf"
    click.echo(f"\nSHA-256 of 0x00 and the line above: {found.computed.hex()}, which {verdict}.")
