"""``stairways audit events``, ``steps`` and ``show``: what the log holds, record by record."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

import click

from stairways.bootstrap import App
from stairways.cli.asking import FOUND, asked, moment
from stairways.cli.columns import (
    ALL_OF_EVENTS,
    ALL_OF_STEPS,
    ALL_OF_VALIDATION_STEPS,
    EVENTS,
    STEPS,
)
from stairways.cli.following import event_row, follow_events, told_row
from stairways.cli.printing import (
    Form,
    cell_text,
    form_options,
    print_json,
    print_rows,
    utc_text,
)
from stairways.cli.speaking import say
from stairways.codec import CLASSES
from stairways.core.values import Position
from stairways.service import audit
from stairways.service.audit import Filter, Shown
from stairways.service.runs import LATEST, find_run
from stairways.store.contract import START

T = TypeVar("T")

ROWS_FOR_PEOPLE = 50


@click.command(short_help="List events, oldest first.")
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
@click.option("--contains", metavar="TEXT", help="Only what says this, letter by letter.")
@click.option("--since", callback=moment, metavar="TIME", help="Recorded at or after this time.")
@click.option("--until", callback=moment, metavar="TIME", help="Recorded before this time.")
@click.option("--after", type=click.IntRange(0), default=0, help="Only after this position.")
@click.option("--to", type=click.IntRange(0), help="Only up to this position.")
@click.option("--tail", type=click.IntRange(1), help="Only the last so many.")
@click.option("--limit", type=click.IntRange(0), help="At most so many; 0 for all.")
@click.option("--follow", "-f", is_flag=True, help="Go on as events come, until interrupted.")
@form_options
@click.pass_obj
def events(
    app: App,
    /,
    form: Form,
    tail: int | None,
    limit: int | None,
    follow: bool,  # noqa: FBT001 - a flag of the command line
    **wanted: Any,  # noqa: ANN401 - the fields of Filter
) -> None:
    """List events, oldest first. Tables show 50 unless told otherwise, JSON and CSV all.

    With --follow every event is a line of its own, in JSON an object without brackets around
    all of them.
    """
    if follow and (wanted["to"] or wanted["cycle"] is not None or limit):
        raise click.UsageError("--follow has no end: leave out --to, --cycle and --limit.")
    _refuse_what_nothing_passes(wanted)
    with asked(app, "events", tail=tail, limit=limit, follow=follow, **wanted) as log:
        if wanted["run"] or wanted["cycle"] is not None:
            wanted["run"] = find_run(log, wanted["run"] or LATEST)
        wanted["after"] = Position(wanted["after"] or START)
        if tail is None:
            found = audit.events(log, Filter(**wanted))
        else:
            found = iter(audit.newest(log, Filter(**wanted), tail))
        if follow:
            follow_events(app, log, found, Filter(**wanted), form)  # until interrupted
        bounded = _told_if_none(_bounded(found, 0 if tail else limit, form))
        if form == "table":
            print_rows(app.out, map(told_row, bounded), EVENTS, form)
        else:
            print_rows(app.out, map(event_row, bounded), ALL_OF_EVENTS, form)


@click.command(short_help="List every step of a run.")
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
    said = {"run": run, "cycle": cycle, "limit": limit, "validation": validation}
    with asked(app, "steps", **said) as log:
        found = audit.steps(log, find_run(log, run), cycle, validation=validation)
        rows = _bounded(found, limit, form)
        everything = ALL_OF_VALIDATION_STEPS if validation else ALL_OF_STEPS
        print_rows(app.out, rows, STEPS if form == "table" else everything, form)


@click.command(short_help="Show one record in full, and what proves it.")
@click.argument("position", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def show(app: App, position: int, *, as_json: bool) -> None:
    """Show the record at POSITION in full, whether it is what was hashed, and what covers it.

    Says how to check that elsewhere, without this program. Exits with 1 when the record is
    not what was hashed when it was written.
    """
    with asked(app, "show", position=position) as log:
        found = audit.show(log, Position(position))
        if as_json:
            print_json(_shown_json(found))
        else:
            _print_shown(found)
    raise SystemExit(0 if found.sound else FOUND)


def _refuse_what_nothing_passes(wanted: dict[str, Any]) -> None:
    """Refuse bounds that exclude each other, which a typing error makes."""
    for lower, upper in (("since", "until"), ("after", "to")):
        if wanted[lower] and wanted[upper] is not None and wanted[lower] >= wanted[upper]:
            raise click.UsageError(f"Nothing is after --{lower} and before --{upper}: swap them.")


def _told_if_none(found: Iterable[T]) -> Iterator[T]:
    """Yield what was found; where that is nothing, say so, lest it be taken for a failure."""
    nothing = True
    for item in found:
        nothing = False
        yield item
    if nothing:
        say("No event of this log passes these filters.")


def _bounded(found: Iterable[T], limit: int | None, form: Form) -> Iterator[T]:
    """Yield at most ``limit`` items, and say so when there are more."""
    most = limit if limit is not None else ROWS_FOR_PEOPLE if form == "table" else 0
    items = iter(found)
    if not most:
        yield from items
        return
    yield from islice(items, most)
    if next(items, None) is not None:
        say(f"Only the first {most} are shown; --limit 0 shows all.")


def _shown_json(found: Shown) -> dict[str, object]:
    covered = found.covered
    return {
        **event_row(found.record),
        "record": found.content.decode(errors="backslashreplace"),
        "computed_leaf": found.computed.hex(),
        "intact": found.intact,
        "checkpoint": None
        if covered is None
        else {
            "origin": covered.origin,
            "size": covered.size,
            "root": covered.root.hex(),
            "proven": found.proven,
        },
        "check": _how_to_check(found),
    }


def _print_shown(found: Shown) -> None:
    """Print a record field by field, then its payload, what to hash, and what proves it."""
    row = event_row(found.record)
    said = row.pop("payload")
    for key, cell in row.items():
        text = utc_text(cell) if isinstance(cell, datetime) else cell_text(cell)
        click.echo(f"{key:<12} {text}")
    click.echo()
    click.echo(json_text(said))
    click.echo(f"\n{cell_text(found.content.decode(errors='backslashreplace'))}")
    verdict = "is the stored leaf" if found.intact else "is NOT the stored leaf"
    click.echo(f"\nSHA-256 of 0x00 and the line above: {found.computed.hex()}, which {verdict}.")
    click.echo(_covered(found))
    click.echo("\nTo check it elsewhere:")
    for line in _how_to_check(found):
        click.echo(f"  {line}")


def json_text(value: object) -> str:
    """Return a payload as indented JSON in which no stored letter is obeyed by a terminal."""
    lines = json.dumps(value, indent=2, ensure_ascii=False, default=str).split("\n")
    return "\n".join(cell_text(line) for line in lines)


def _covered(found: Shown) -> str:
    if found.covered is None:
        return "No signed checkpoint covers it yet: `stairways seal` signs the log as it stands."
    said = "It is" if found.proven else "It is NOT"
    return (
        f"{said} under the root {found.covered.root.hex()} of the checkpoint {found.covered.size} "
        f"of {cell_text(found.covered.origin)}."
    )


def _how_to_check(found: Shown) -> list[str]:
    """Return commands that check the record with nothing of ours but the exported proof."""
    place = found.record.position
    if found.covered is None:
        return [
            "stairways seal --key KEY > kept.checkpoint",
            f"stairways proof {place} -o {place}.tlog-proof",
        ]
    return [
        f"stairways proof {place} -o {place}.tlog-proof",
        f"sed -n 's/^extra //p' {place}.tlog-proof | base64 -d > record.json",
        "(printf '\\0'; cat record.json) | openssl dgst -sha256",
        f"stairways proof --check {place}.tlog-proof --key KEY",
    ]
