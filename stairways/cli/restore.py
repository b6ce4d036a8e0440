"""``stairways restore``: copy a backup into an empty log."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stairways.cli.backup import finish

if TYPE_CHECKING:
    from stairways.bootstrap import App


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def command(app: "App", file: Path, *, as_json: bool) -> None:
    """Copy the backup in FILE into the log at --database-url, which must be empty.

    Then compare it with a checkpoint that was kept (`stairways verify --against`): that shows
    a backup that is older than the log was.

    Exits with 0 when the log is clean and with 1 when something was found.
    """
    from stairways.service.backup import restore  # noqa: PLC0415 - help starts light

    finish(restore(file, app.database_url), f"Log {app.shown_database}", as_json=as_json)
