"""``stairways verify``: rehash the log and hold it against what was kept outside."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stairways.cli.printing import print_json, shown

if TYPE_CHECKING:
    from stairways.bootstrap import App
    from stairways.service.verify.log import VerifyReport


@click.command()
@click.option(
    "--against",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A checkpoint somebody kept; the log must be a continuation of it. May be repeated.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="KEY",
    help="A public key to trust, itself or a file of it; every checkpoint must then be signed "
    "by one that is named. May be repeated.",
)
@click.option("--processes", type=click.IntRange(1), help="How many [default: one a processor].")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--record/--no-record", default=False, help="Append the result to the log [default: no]."
)
@click.pass_obj
def command(  # noqa: PLR0917 - click passes by name
    app: "App",
    against: tuple[Path, ...],
    keys: tuple[str, ...],
    processes: int | None,
    as_json: bool,  # noqa: FBT001 - a flag of the command line
    record: bool,  # noqa: FBT001 - a flag of the command line
) -> None:
    """Rehash every record of the log and name the first that is not what it was.

    No stored hash is trusted: records are hashed anew, and the tree over them is held against
    the head, the stored checkpoints and those given with --against. Order, gaps, versions of
    streams, blobs, signatures and the guards in the database are checked as well.

    Exits with 0 when all is well, 1 when something was found, 2 when it could not look.
    """
    from stairways.service.seal import read_kept, read_keys  # noqa: PLC0415 - help starts light
    from stairways.service.verify.log import verify_log  # noqa: PLC0415 - as above

    trusted = read_keys(keys)
    report = verify_log(
        app.database_url,
        against=[read_kept(file, trusted) for file in against],
        keys=trusted,
        processes=processes,
    )
    if record:
        _record(app, report)
    if as_json:
        print_json(report_json(report))
    else:
        _print(report)
    raise SystemExit(0 if report.clean else 1)


def report_json(report: "VerifyReport") -> Mapping[str, Any]:
    """Return a report as JSON shows it."""
    return {"clean": report.clean, "first_position": report.first_position, **asdict(report)}


def _record(app: "App", report: "VerifyReport") -> None:
    """Append the result: audits are audited."""
    from stairways.service.verify.log import record_report  # noqa: PLC0415 - as above

    with app.log() as store:
        record_report(store, report, app.context("verify"))


def _print(report: "VerifyReport") -> None:
    from stairways.service.verify.findings import counted  # noqa: PLC0415 - help starts light

    for finding in report.findings:
        click.echo(shown(finding.sentence()), err=True)
    if report.found > len(report.findings):
        click.echo(f"… and {report.found - len(report.findings):,} more.", err=True)
    verdict = "nothing was changed" if report.clean else counted(report.found, "finding")
    if not report.rehashed:
        click.echo(f"NOTHING was rehashed, for want of tables: {verdict}.")
        return
    events, blobs = counted(report.size, "event"), counted(report.blobs, "blob")
    click.echo(
        f"{events}, {blobs} and {counted(report.checkpoints, 'checkpoint')}: {verdict}. "
        f"Root {report.root}"
    )
