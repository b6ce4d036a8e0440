"""``stairways audit rollbacks``, ``why``, ``trail`` and ``as-of``: what was decided, and why."""

from dataclasses import asdict
from datetime import datetime

import click

from stairways.bootstrap import App
from stairways.cli.asking import asked, moment
from stairways.cli.columns import (
    ALL_OF_AS_OF,
    ALL_OF_ROLLBACKS,
    AS_OF,
    CHAIN,
    ROLLBACKS,
    TRAIL,
)
from stairways.cli.printing import Form, form_options, print_rows, utc_text
from stairways.cli.speaking import say
from stairways.service import audit
from stairways.service.audit import Link
from stairways.service.runs import find_run
from stairways.service.tabular import Row

CHAIN_INDENT = "  "


@click.command(short_help="List divergences and rollbacks.")
@click.argument("run", default="all")
@form_options
@click.pass_obj
def rollbacks(app: App, form: Form, run: str) -> None:
    """List every divergence and rollback of RUN, or of all runs when it is left out."""
    with asked(app, "rollbacks", run=run) as log:
        rows = audit.rollbacks(log, None if run == "all" else find_run(log, run))
        print_rows(app.out, rows, ROLLBACKS if form == "table" else ALL_OF_ROLLBACKS, form)


@click.command(short_help="Show the chain of evidence behind a gate or a model.")
@click.argument("target", metavar="GATE|MODEL")
@click.option("--run", metavar="RUN", help="Where a gate is named: its decision in this run.")
@click.option("--cycle", type=int, help="Where a gate is named: its decision in this cycle.")
@form_options
@click.pass_obj
def why(app: App, form: Form, target: str, run: str | None, cycle: int | None) -> None:
    """Show why: the evidence behind a gate or a model, down to bars, settings and code.

    GATE is the position of a decision, or the name of a gate, whose last decision is meant.
    MODEL is the digest of parameters or its beginning, or the name of a model, which means
    what it serves now. Every record of the chain is rehashed while it is read.
    """
    with asked(app, "why", target=target, run=run, cycle=cycle) as log:
        name = None if run is None else find_run(log, run)
        links = audit.why(log, target, name, cycle)
        print_rows(app.out, [_link_row(link, form) for link in links], CHAIN, form)


@click.command(short_help="Tell what happened to a model, in a run, or by one person.")
@click.option("--model", help="What happened to this model, in all of its runs.")
@click.option("--run", metavar="RUN", help="What happened in this run.")
@click.option("--actor", help="What this person or program recorded.")
@form_options
@click.pass_obj
def trail(app: App, form: Form, model: str | None, run: str | None, actor: str | None) -> None:
    """Tell in order and in words what happened to a model, in a run, or by one person.

    Several of them restrict each other. Steps and updates are left out; `audit events` lists
    them.
    """
    if model is None and run is None and actor is None:
        raise click.UsageError("Say whose trail: --model, --run or --actor.")
    with asked(app, "trail", model=model, run=run, actor=actor) as log:
        name = None if run is None else find_run(log, run)
        rows = audit.trail(log, model=model, run=name, actor=actor)
        print_rows(app.out, rows, TRAIL, form)


@click.command("as-of", short_help="Say what was promoted at a time, and who decided it.")
@click.argument("time", callback=moment, metavar="TIME")
@click.option("--model", help="Only this model.")
@form_options
@click.pass_obj
def as_of(app: App, form: Form, time: datetime, model: str | None) -> None:
    """Say what each model served at TIME (2026-01-07T14:30, UTC), since when, and who decided.

    `the gates` decided where no person did; a person is named with the reason.
    """
    with asked(app, "as-of", time=time.isoformat(), model=model) as log:
        rows = audit.as_of(log, time, model)
        print_rows(app.out, rows, AS_OF if form == "table" else ALL_OF_AS_OF, form)
        if not rows:
            say("Nothing was decided about any such model until then.")
        if (last := audit.last_time(log)) is not None and last < time:
            end = utc_text(last)
            say(f"The newest event of this log is of {end}; later ones are not in it yet.")


def _link_row(link: Link, form: Form) -> Row:
    row = asdict(link)
    return {**row, "role": CHAIN_INDENT * link.depth + link.role} if form == "table" else row
