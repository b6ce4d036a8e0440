"""``stairways init``: make the database of the log, or bring it to the newest schema."""

from typing import TYPE_CHECKING

import click

from stairways.cli.printing import print_json

if TYPE_CHECKING:
    from stairways.bootstrap import App


@click.command()
@click.option(
    "--roles",
    is_flag=True,
    help="On PostgreSQL: also make the roles stairways_owner, stairways_writer, "
    "stairways_archivist and stairways_auditor, each with the least rights.",
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def command(app: "App", *, roles: bool, as_json: bool) -> None:
    """Create the database of the log, or bring it up to date.

    A SQLite file is also made on first use. On PostgreSQL run this as the owner of the tables;
    the database itself must be there. What is recorded already stays as it is.
    """
    from stairways.store.opening import newest_revision, upgrade  # noqa: PLC0415 - help starts light

    upgrade(app.database_url)
    if roles:
        from stairways.store.roles import make_roles  # noqa: PLC0415 - as above

        make_roles(app.database_url)
    with app.log() as store:
        size = store.head().size
    if as_json:
        print_json({"log": app.shown_database, "schema": newest_revision(), "events": size})
    else:
        click.echo(f"The log {app.shown_database} is ready: {size} events.")
