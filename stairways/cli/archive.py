"""``stairways archive``: move the step payloads of closed runs into sealed segments."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from stairways.cli.printing import Column, Form, form_options, print_rows, short

if TYPE_CHECKING:
    from stairways.bootstrap import App
    from stairways.service.archive import Archived
    from stairways.store.sql import SqlStore

MOVED = ("run", "segments", "events", "bytes_before", "bytes_after")
SEGMENTS = (
    *("position", "stream", "type", "schema", "first", "last", "events", "bytes"),
    Column("digest", show=short),
)


@click.command()
@click.argument("runs", nargs=-1)
@click.option("--list", "list_", is_flag=True, help="List the segments that are there.")
@click.option("--dry-run", is_flag=True, help="Say what would be moved, and change nothing.")
@click.option(
    "--reclaim/--no-reclaim",
    default=True,
    help="Give the room back to the file system; writers wait meanwhile [default: yes].",
)
@form_options
@click.pass_obj
def command(
    app: "App", runs: tuple[str, ...], form: Form, *, list_: bool, dry_run: bool, reclaim: bool
) -> None:
    """Move the step payloads of RUNS (default: of every run that may be) into sealed segments.

    A segment is a compressed Parquet file, kept in the log as a blob; the leaves stay where they
    are, so every proof, verification and replay still works. A run stays whole until it is
    closed and its retention date (retention.days) has come, and while a legal hold covers it:
    see `stairways hold`. Being interrupted loses nothing: archive again.
    """
    if list_:
        with app.log(read_only=True) as store:
            print_rows(app.out, _segment_rows(store), SEGMENTS, form)
        return
    with app.log(read_only=dry_run) as store:
        due = _due(app, store, runs)
        if not due:
            click.echo(_nothing(store), err=True)
            if form == "table":
                return
        if dry_run:
            print_rows(app.out, [{"run": run} for run in due], ["run"], form)
            return
        moved = [_archive(app, store, run) for run in due]
        print_rows(app.out, [asdict(one) for one in moved], MOVED, form)
        if reclaim and any(one.segments for one in moved):
            _reclaim(store)


def _due(app: "App", store: "SqlStore", named: Sequence[str]) -> list[str]:
    """Return the runs to archive; one that was named and must stay stops everything."""
    from stairways.errors import RetentionError  # noqa: PLC0415 - help starts light
    from stairways.service.archive import why_not  # noqa: PLC0415 - as above
    from stairways.service.runs import find_run, run_names  # noqa: PLC0415 - as above

    due = []
    for run in [find_run(store, name) for name in named] or run_names(store):
        reason = why_not(store, run, app.settings.retention, app.clock())
        if reason is None:
            due.append(run)
        elif named:
            raise RetentionError(f"{reason} Nothing was moved.")
        else:
            click.echo(reason, err=True)
    return due


def _nothing(store: "SqlStore") -> str:
    """Return that nothing is to be moved, and why."""
    from stairways.service.runs import run_names  # noqa: PLC0415 - as above

    why = "see above why each run must stay" if run_names(store) else "the log holds no run yet"
    return f"There is nothing to archive: {why}."


def _archive(app: "App", store: "SqlStore", run: str) -> "Archived":
    from stairways.service.archive import archive_run  # noqa: PLC0415 - as above

    return archive_run(
        store,
        run,
        rules=app.settings.retention,
        now=app.clock(),
        context=lambda: app.context(f"archive {run}"),
    )


def _reclaim(store: "SqlStore") -> None:
    from stairways.errors import LogBusyError  # noqa: PLC0415 - as above
    from stairways.store import archiving  # noqa: PLC0415 - as above

    before = archiving.size_on_disk(store)
    try:
        archiving.reclaim(store)
    except LogBusyError as error:
        click.echo(f"The room is not given back yet, the log uses it again: {error}", err=True)
        return
    after = archiving.size_on_disk(store)
    what = "The file" if store.driver.name == "sqlite" else "The table events"
    click.echo(f"{what} takes {after:,} bytes, {before:,} before.", err=True)
    if after >= before and store.driver.name == "postgresql":
        click.echo("Its owner gives the room back: VACUUM (FULL, ANALYZE) events;", err=True)


def _segment_rows(store: "SqlStore") -> list[dict[str, Any]]:
    found = store.rows(
        "SELECT g.position, s.name, g.type, g.schema, g.first, g.last, g.events,"
        " length(b.content), g.digest FROM segments g JOIN streams s ON s.id = g.stream"
        " JOIN blobs b ON b.digest = g.digest ORDER BY g.position",
        (),
    )
    keys = ("position", "stream", "type", "schema", "first", "last", "events", "bytes", "digest")
    return [dict(zip(keys, row, strict=True)) for row in found]
