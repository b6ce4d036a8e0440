"""``stairways halt``: the kill switch."""

from typing import TYPE_CHECKING

import click

from stairways.cli.speaking import say
from stairways.errors import LogUnavailableError

if TYPE_CHECKING:
    from stairways.bootstrap import App

WITHOUT_LOG = (
    "Nothing was halted. Without the log, stop training by SIGTERM to every daemon and every "
    "`stairways train`, and halt when the log can be written again."
)


@click.command()
@click.option("--lift", is_flag=True, help="Allow training and serving again.")
@click.option("--reason", required=True, help="Why; it is recorded.")
@click.option("--who", help="The name that is recorded [default: the actor of the log].")
@click.pass_obj
def command(app: "App", lift: bool, reason: str, who: str | None) -> None:  # noqa: FBT001 - a flag of the command line
    """Stop all training and serving at once, by name and reason, until it is lifted.

    Every run on this log stops at its next rollout and can go on later; no run begins, no
    schedule fires, and `stairways rebuild` hands out no model. Nothing that was recorded is
    lost, and everything may still be read, replayed and verified.
    """
    from stairways.service.operation import halt  # noqa: PLC0415 - help must start light

    order, said = (
        (halt.lift, "Training and serving are allowed again; `stairways train` goes on.")
        if lift
        else (halt.halt, "Training and serving are halted until `stairways halt --lift`.")
    )
    try:
        with app.log() as store:
            name = app.actor if who is None else who
            appended = order(store, who=name, reason=reason, context=app.context("operator"))
    except LogUnavailableError as error:
        if lift:
            raise
        raise LogUnavailableError(f"{error} {WITHOUT_LOG}") from error
    click.echo(appended.last)
    say(said)
