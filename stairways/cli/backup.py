"""``stairways backup``: copy the log, online and verified."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stairways.cli.printing import print_json, shown

if TYPE_CHECKING:
    from stairways.bootstrap import App
    from stairways.service.verify.log import VerifyReport


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def command(app: "App", file: Path, *, as_json: bool) -> None:
    """Copy the log to FILE, a SQLite log of its own, and verify the copy.

    Writers may go on meanwhile. Whichever database the log is in, the copy can be read by
    every command and restored into either kind.

    Exits with 0 when the copy is clean and with 1 when something was found.
    """
    from stairways.service.backup import back_up  # noqa: PLC0415 - help starts light

    finish(back_up(app.database_url, file), f"Backup {file}", as_json=as_json)


def finish(report: "VerifyReport", title: str, *, as_json: bool) -> None:
    """Print the report on a copy and exit with its code."""
    from stairways.service.verify.findings import counted  # noqa: PLC0415 - help starts light

    if as_json:
        print_json({"clean": report.clean, **asdict(report)})
    else:
        for finding in report.findings:
            click.echo(shown(finding.sentence()), err=True)
        verdict = "verified" if report.clean else counted(report.found, "finding")
        events, blobs = counted(report.size, "event"), counted(report.blobs, "blob")
        click.echo(f"{title}: {events}, {blobs}, {verdict}.")
    raise SystemExit(0 if report.clean else 1)
