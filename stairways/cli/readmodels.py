"""``stairways readmodels``: keep the tables for dashboards in step with the log."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from stairways.cli.printing import Form, form_options, print_rows

if TYPE_CHECKING:
    from stairways.bootstrap import App

COLUMNS = ("name", "generation", "version", "served", "position", "events", "seconds")


@click.group()
def command() -> None:
    """Fill the tables that dashboards ask, see how far they are, and build them anew."""


@command.command()
@form_options
@click.pass_obj
def status(app: "App", form: Form) -> None:
    """Show every generation of every subscription: its position and its lag.

    `events` and `seconds` say how far it is behind the log.
    """
    from stairways.readmodels.subscription import lags  # noqa: PLC0415 - help starts light

    with app.log(read_only=True) as store:
        rows = [asdict(lag) for lag in lags(store, app.clock())]
    if form == "table" and not rows:
        click.echo("Nothing was filled yet; see `stairways readmodels update`.", err=True)
        return
    print_rows(app.out, rows, COLUMNS, form)


@command.command()
@click.pass_obj
def update(app: "App") -> None:
    """Bring the tables to the end of the log."""
    from stairways.readmodels.projector import Projector  # noqa: PLC0415 - as above

    with app.log() as store:
        position = Projector(store).catch_up()
    click.echo(f"The read models say what the log says up to position {position}.")


@command.command()
@click.pass_obj
def rebuild(app: "App") -> None:
    """Build the tables anew beside those that are served, then serve them instead.

    Interrupted, it goes on where it stopped when it is called again.
    """
    from stairways.readmodels.projector import Projector  # noqa: PLC0415 - as above

    with app.log() as store, app.progress("read models", store.head().size) as shown:
        position = Projector(store).rebuild(shown.advance)
    click.echo(f"The read models were built anew up to position {position}.")
