"""``stairways export``: a run as tables, records, a page or a bundle; the log as tiles."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stairways.cli.printing import print_json, shown
from stairways.errors import StairwaysError

if TYPE_CHECKING:
    from stairways.bootstrap import App
    from stairways.core.events import ExportMade
    from stairways.service.export.making import Format

FORMATS = ("parquet", "csv", "jsonl", "html", "bundle")
FOUND = 1


@click.command()
@click.argument("run", required=False)
@click.option("--format", "form", type=click.Choice(FORMATS), help="See above.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Where to; a folder for csv and parquet, a file for the others.",
)
@click.option(
    "--tiles",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Not a run but the log, up to its newest signed checkpoint, as C2SP tlog-tiles: files "
    "that any web server can offer to any client of transparency logs.",
)
@click.option("--replace", is_flag=True, help="Replace what is there.")
@click.option(
    "--at",
    type=click.IntRange(1),
    metavar="SIZE",
    help="As the log was with so many events [default: as it is now].",
)
@click.option(
    "--record/--no-record", default=True, help="Append an ExportMade event [default: yes]."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
@click.pass_obj
def command(  # noqa: PLR0917 - click passes by name
    app: "App",
    run: str | None,
    form: "Format | None",
    out: Path | None,
    tiles: Path | None,
    at: int | None,
    replace: bool,  # noqa: FBT001 - a flag of the command line
    record: bool,  # noqa: FBT001 - a flag of the command line
    as_json: bool,  # noqa: FBT001 - a flag of the command line
) -> None:
    """Take RUN (or `latest`) out of the log: RUN, --format and --out; or the log, with --tiles.

    \b
    parquet  a folder with a file for each type of event (docs/views.md), typed
    csv      the same for spreadsheets; no stored text runs as a formula
    jsonl    every record as it was hashed, one a line
    html     a report on one page that prints well
    bundle   one zip: records, proof, checkpoint, bars, models, report, and a
             script that checks it all with Python alone

    The export is whole or not there. Exits with 1 when the log is damaged where it was read.
    """  # noqa: D301 - in a raw string click does not see its mark for lines to keep
    if tiles is not None:
        if run is not None or form is not None or out is not None or at is not None:
            raise click.UsageError("--tiles takes the log as it is: no RUN, --format, --out, --at.")
        _export_tiles(app, tiles, as_json=as_json)
        return
    if run is None or form is None or out is None:
        raise click.UsageError("Name RUN, --format and --out; or --tiles DIR for the whole log.")
    from stairways.service.audit import WatchedLog  # noqa: PLC0415 - help starts in a blink
    from stairways.service.export.making import export_run, head_at  # noqa: PLC0415 - as above
    from stairways.service.runs import find_run  # noqa: PLC0415 - as above

    with app.log(read_only=True) as store:
        log = WatchedLog(store, None if at is None else head_at(store, at))
        made = export_run(log, find_run(log, run), form, out, replace=replace)
        if record:
            _record(app, made)
    if as_json:
        print_json({"out": str(out), **asdict(made)})
    else:
        for name, digest in made.files.items():
            click.echo(f"{digest}  {name}")
    for finding in log.findings:
        click.echo(shown(finding.sentence()), err=True)
    raise SystemExit(FOUND if log.found.count else 0)


def _export_tiles(app: "App", folder: Path, *, as_json: bool) -> None:
    """Write the log up to its newest signed checkpoint as tiles."""
    from stairways.service.tiles import export_tiles  # noqa: PLC0415 - as above

    with app.log(read_only=True) as store:
        size = export_tiles(store, folder)
    if as_json:
        print_json({"folder": str(folder), "size": size})
    else:
        click.echo(f"Tiles of {size:,} records are in {folder}.")


def _record(app: "App", made: "ExportMade") -> None:
    """Append that the export was made; whoever may only read is told that it was not."""
    from stairways.cli.asking import open_to_record  # noqa: PLC0415 - help starts in a blink
    from stairways.service.export.making import record_export  # noqa: PLC0415 - as above

    try:
        with open_to_record(app) as store:
            record_export(store, made, app.context("export"))
    except StairwaysError as error:
        reason = " ".join(str(error).split())
        click.echo(f"This export was not recorded in the log: {shown(reason)}", err=True)
