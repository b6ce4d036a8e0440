"""``stairways rollback``: put an earlier model back into service."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from stairways.bootstrap import App


@click.command()
@click.argument("model")
@click.option("--to", required=True, metavar="DIGEST", help="Of parameters promoted before.")
@click.option("--reason", required=True, help="Why; it is recorded.")
@click.option("--who", help="The name that is recorded [default: the actor of the log].")
@click.pass_obj
def command(app: "App", model: str, to: str, reason: str, who: str | None) -> None:
    """Put a model that was promoted before back into service, by name and reason.

    A run in training under that name follows at its next cycle boundary: it goes on from the
    parameters, optimiser and random states of DIGEST and measures divergence from them.
    """
    from stairways.service.stairway.orders import OPERATOR, roll_back  # noqa: PLC0415 - help starts light

    with app.log() as store:
        name, context = app.actor if who is None else who, app.context(OPERATOR)
        back = roll_back(store, model, to, reason=reason, who=name, context=context)
    click.echo(back.parameters)
    click.echo(f"{model} serves the model of run {back.run}, cycle {back.cycle}, again.", err=True)
