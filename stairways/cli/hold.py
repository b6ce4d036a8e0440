"""``stairways hold``: keep the payloads of runs where they are, by name and reason."""

from typing import TYPE_CHECKING

import click

from stairways.cli.printing import Column, Form, brief, form_options, print_rows

if TYPE_CHECKING:
    from stairways.bootstrap import App

COLUMNS = (
    Column("name"),
    Column("runs"),
    Column("who"),
    Column("placed", show=brief),
    Column("reason", wraps=True),
)


@click.group()
def command() -> None:
    """Place and lift legal holds: what they cover is not archived. All of it is recorded."""


@command.command()
@click.argument("name")
@click.option("--run", "runs", multiple=True, help="A run it covers [default: all]. Repeatable.")
@click.option("--reason", required=True, help="Why; it is recorded.")
@click.option("--who", help="The name that is recorded [default: the actor of the log].")
@click.pass_obj
def place(app: "App", name: str, runs: tuple[str, ...], reason: str, who: str | None) -> None:
    """Place the hold NAME: nothing of its runs is archived until it is lifted."""
    from stairways.service import retention  # noqa: PLC0415 - help starts light

    with app.log() as store:
        appended = retention.place_hold(
            *(store, name, runs),
            who=app.actor if who is None else who,
            reason=reason,
            context=app.context("hold"),
        )
    covered = ", ".join(runs) or "every run"
    click.echo(f"The hold {name} on {covered} is in force: position {appended.first}.")


@command.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why; it is recorded.")
@click.option("--who", help="The name that is recorded [default: the actor of the log].")
@click.pass_obj
def lift(app: "App", name: str, reason: str, who: str | None) -> None:
    """Lift the hold NAME."""
    from stairways.service import retention  # noqa: PLC0415 - as above

    with app.log() as store:
        appended = retention.lift_hold(
            store,
            name,
            who=app.actor if who is None else who,
            reason=reason,
            context=app.context("hold"),
        )
    click.echo(f"The hold {name} is lifted: position {appended.first}.")


@command.command("list")
@form_options
@click.pass_obj
def list_(app: "App", form: Form) -> None:
    """List the holds that are in force."""
    from dataclasses import asdict  # noqa: PLC0415 - as above

    from stairways.service.retention import holds  # noqa: PLC0415 - as above

    with app.log(read_only=True) as store:
        rows = [{**asdict(hold), "runs": hold.runs or ("every", "run")} for hold in holds(store)]
    if form == "table" and not rows:
        click.echo("No hold is in force.", err=True)
        return
    print_rows(app.out, rows, COLUMNS, form)
