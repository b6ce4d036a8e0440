"""``stairways audit diff`` and ``lineage``: how runs differ, and where a digest comes from."""

from dataclasses import asdict

import click

from stairways.bootstrap import App
from stairways.cli.asking import FOUND, asked
from stairways.cli.columns import DIFFERENCES, MENTIONS
from stairways.cli.printing import Form, form_options, print_json, print_rows
from stairways.service import audit
from stairways.service.audit import Lineage
from stairways.service.runs import find_run


@click.command(short_help="Compare two runs: settings, data, code, results.")
@click.argument("a", metavar="RUN")
@click.argument("b", metavar="RUN")
@form_options
@click.pass_obj
def diff(app: App, form: Form, a: str, b: str) -> None:
    """List everything in which two runs differ: settings, data, code, machine, results.

    Exits with 1 when they differ.
    """
    with asked(app, "diff", a=a, b=b) as log:
        found = audit.diff(log, find_run(log, a), find_run(log, b))
        print_rows(app.out, [asdict(one) for one in found], DIFFERENCES, form)
        if not found:
            click.echo("The two runs differ in nothing that is recorded.", err=True)
    raise SystemExit(FOUND if found else 0)


@click.command(short_help="Say where a digest comes from and what became of it.")
@click.argument("digest")
@form_options
@click.pass_obj
def lineage(app: App, form: Form, digest: str) -> None:
    """Say what the log knows of DIGEST: of parameters, states, bars, settings, code or files.

    Eight of its digits are enough if they are its own. Lists every record that names it;
    for parameters also those it was grown from and those grown from it.
    """
    with asked(app, "lineage", digest=digest) as log:
        found = audit.lineage(log, digest)
        if form == "json":
            print_json(asdict(found))
            return
        print_rows(app.out, [asdict(one) for one in found.mentions], MENTIONS, form)
        for line in _kin(found):
            click.echo(line, err=form == "csv")


def _kin(found: Lineage) -> list[str]:
    """Return in words what a digest is and how it hangs together with others."""
    blob = (
        "no content is stored under it"
        if found.blob is None
        else (f"its content is stored: {found.blob:,} bytes with that SHA-256")
    )
    lines = [f"{found.digest} ({', '.join(found.roles)}): {blob}."]
    lines += [f"grown from  {parent}" for parent in found.parents]
    lines += [f"grown into  {child}" for child in found.children]
    return lines
