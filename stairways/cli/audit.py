"""``stairways audit``: questions to the log, for people, programs and spreadsheets."""

import click

from stairways.bootstrap import App
from stairways.cli.asking import asked
from stairways.cli.audit_decisions import as_of, rollbacks, trail, why
from stairways.cli.audit_events import events, show, steps
from stairways.cli.audit_kin import diff, lineage
from stairways.cli.audit_results import folds, seeds, skill
from stairways.cli.audit_sql import sql
from stairways.cli.audit_views import views
from stairways.cli.columns import ALL_OF_CYCLES, ALL_OF_RUNS, CYCLES, GATES, RUNS
from stairways.cli.gate_matrix import apart, matrix
from stairways.cli.printing import Form, form_options, print_rows, shown
from stairways.cli.summary import steering_sentences
from stairways.service import audit
from stairways.service.runs import LATEST, find_run


@click.group()
def command() -> None:
    """Ask the log: what was trained, decided and promoted, when, by whom, and on what evidence.

    RUN is the name of a run, or `latest`, which is also what is meant when it is left out.
    Times are UTC. Every question is recorded in the log, unless the setting audit.record is
    false or the account may only read. Exits with 1 where the log is damaged.
    """


@command.command()
@form_options
@click.pass_obj
def runs(app: App, form: Form) -> None:
    """List all runs, newest first."""
    with asked(app, "runs") as log:
        print_rows(app.out, audit.runs(log), RUNS if form == "table" else ALL_OF_RUNS, form)


@command.command(short_help="List every attempt at a cycle of a run.")
@click.argument("run", default=LATEST)
@form_options
@click.pass_obj
def cycles(app: App, run: str, form: Form) -> None:
    """List every attempt at a cycle of RUN, with its results and verdict."""
    with asked(app, "cycles", run=run) as log:
        name = find_run(log, run)
        rows = audit.cycles(log, name)
        print_rows(app.out, rows, CYCLES if form == "table" else ALL_OF_CYCLES, form)
        if form == "table":
            for said in steering_sentences(audit.steering(log, name)):
                click.echo(said, err=True)


@command.command(short_help="List what the gates measured and decided.")
@click.argument("run", default=LATEST)
@click.option("--cycle", type=int, help="Only this cycle.")
@form_options
@click.pass_obj
def gates(app: App, run: str, cycle: int | None, form: Form) -> None:
    """Show what each gate of RUN measured in each cycle, and the verdicts.

    With --cycle, --json or --csv every decision has its reason and where the evidence is.
    """
    with asked(app, "gates", run=run, cycle=cycle) as log:
        name = find_run(log, run)
        found = audit.gates(log, name, cycle)
        if form == "table" and cycle is None:
            print_rows(app.out, *matrix(found, audit.cycles(log, name)), form)
            if said := apart(found):
                click.echo(shown(said), err=True)
        else:
            print_rows(app.out, found, GATES, form)


_OTHERS = (rollbacks, events, steps, show, why, trail, as_of, diff, lineage, skill, seeds, folds)
for _subcommand in _OTHERS:
    command.add_command(_subcommand)
command.add_command(sql)
command.add_command(views)
