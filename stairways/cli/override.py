"""``stairways override``: decide about a cycle against its gates."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from stairways.bootstrap import App


@click.command()
@click.argument("run")
@click.argument("cycle", type=click.IntRange(1))
@click.option("--promote", is_flag=True, help="Promote what the gates rejected.")
@click.option("--reject", is_flag=True, help="Reject what the gates promoted.")
@click.option("--who", required=True, help="Your name; it is recorded.")
@click.option("--reason", required=True, help="Why; it is recorded.")
@click.pass_obj
def command(  # noqa: PLR0917 - click passes by name
    app: "App",
    run: str,
    cycle: int,
    promote: bool,  # noqa: FBT001 - a flag of the command line
    reject: bool,  # noqa: FBT001 - as above
    who: str,
    reason: str,
) -> None:
    """Promote what the gates rejected, or reject what they promoted, by name and reason.

    The decision and the promotion or rollback it implies are recorded together. A run in
    training under the same name follows at its next cycle boundary.
    """
    if promote == reject:
        raise click.UsageError("Say what to do instead: either --promote or --reject.")
    from stairways.service.runs import find_run  # noqa: PLC0415 - as above
    from stairways.service.stairway import orders  # noqa: PLC0415 - help starts light
    from stairways.service.stairway.unfinished import start_of  # noqa: PLC0415 - as above

    with app.log() as store:
        name = find_run(store, run)
        appended = orders.override(
            store,
            start_of(store, name).model,
            name,
            cycle,
            promote=promote,
            who=who,
            why=reason,
            context=app.context(orders.OPERATOR),
        )
    verdict = "promoted" if promote else "rejected"
    click.echo(f"Cycle {cycle} of run {name} is {verdict} by {who}: position {appended.first}.")
