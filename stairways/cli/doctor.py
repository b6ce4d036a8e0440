"""``stairways doctor``: whether everything is there that is needed, and what to do."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stairways.cli.printing import Column, print_json, print_rows

if TYPE_CHECKING:
    from stairways.bootstrap import App
    from stairways.service.doctor import Check

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
    """Look at versions, database, rights, disk, clock, keys, gateway and schedules; change nothing.

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
    checks += schedule_checks(app)
    rows = [check._asdict() for check in checks]
    if as_json:
        print_json({"standing": worst(checks), "checks": rows})
    else:
        print_rows(app.out, rows, COLUMNS, "table")
    raise SystemExit(1 if worst(checks) == "problem" else 0)


def schedule_checks(app: "App") -> list["Check"]:
    """Return of every schedule of the settings whether a run could begin now.

    That it could not is a warning: others are kept meanwhile, and bars may come in time.
    """
    from stairways.cli.planned import outlooks  # noqa: PLC0415 - help is light
    from stairways.service.doctor import Check  # noqa: PLC0415 - as above

    advice = "No run of it begins until that is mended; `stairways daemon check` looks again."
    return [
        Check(f"schedule {one.schedule}", "ok", one.found)
        if one.fit
        else Check(f"schedule {one.schedule}", "warning", one.found, advice)
        for one in outlooks(app)
    ]
