"""``stairways doctor``: whether everything is there that is needed, and what to do."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stairways.cli.printing import Column, print_json, print_rows

if TYPE_CHECKING:
    from stairways.bootstrap import App

COLUMNS = (
    Column("name"),
    Column("standing"),
    Column("found", wraps=True),
    Column("advice", "what to do", wraps=True),
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def command(app: "App", *, as_json: bool) -> None:
    """Look at versions, database, rights, disk, clock, keys and gateway, and change nothing.

    Exits with 0 when there is no problem (a warning is none), 1 when there is one, and 2 when
    it could not look, as with settings that cannot be read.
    """
    from stairways.service.doctor import Surroundings, examine, worst  # noqa: PLC0415 - help is light

    key, metrics = app.environment.get("STAIRWAYS_KEY"), app.settings.metrics
    checks = examine(
        Surroundings(
            database_url=app.database_url,
            shown_database=app.shown_database,
            clock=app.clock,
            key=Path(key) if key else None,
            gateway=metrics.gateway,
            scrape=(metrics.address, metrics.port) if metrics.port else None,
            trains=bool(app.settings.schedule),
        )
    )
    rows = [check._asdict() for check in checks]
    if as_json:
        print_json({"standing": worst(checks), "checks": rows})
    else:
        print_rows(app.out, rows, COLUMNS, "table")
    raise SystemExit(1 if worst(checks) == "problem" else 0)
