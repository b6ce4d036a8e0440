"""``stairways keys``: make, show and change the keys that sign checkpoints."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stairways.cli.printing import print_json

if TYPE_CHECKING:
    from stairways.bootstrap import App

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def command() -> None:
    """Make, show and change the keys that sign checkpoints.

    A private key is a file of mode 0600 and never enters the database. Give the public key to
    whoever audits; with it and a checkpoint he kept he needs to trust nobody.
    """


@command.command("new")
@click.argument("file", type=_FILE)
@click.option(
    "--name", required=True, help="The log's name in its checkpoints, e.g. example.org/stairways."
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def new(file: Path, name: str, *, as_json: bool) -> None:
    """Make a key, write it to FILE and print its public part."""
    from stairways.store.seal import new_key, write_key  # noqa: PLC0415 - help starts light

    key = new_key(name)
    write_key(file, key)
    _print(str(key.public), file, as_json=as_json)


@command.command("show")
@click.argument("file", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def show(file: Path, *, as_json: bool) -> None:
    """Print the public part of the key in FILE."""
    from stairways.store.seal import read_key  # noqa: PLC0415 - as above

    _print(str(read_key(file).public), file, as_json=as_json)


@command.command("rotate")
@click.option("--old", required=True, type=_FILE, help="The key that signed so far.")
@click.option("--new", "new_", required=True, type=_FILE, help="The key that signs from now on.")
@click.option("--reason", required=True, help="Why; it is recorded.")
@click.pass_obj
def rotate(app: "App", old: Path, new_: Path, reason: str) -> None:
    """Record that a new key follows, and print a checkpoint signed by both."""
    from stairways.service.seal import rotate_key  # noqa: PLC0415 - as above
    from stairways.store.seal import read_key  # noqa: PLC0415 - as above

    with app.log() as store:
        context = app.context("keys rotate")
        note = rotate_key(store, read_key(old), read_key(new_), reason, context)
    click.echo(note, nl=False)


def _print(public: str, file: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({"file": str(file), "public_key": public})
    else:
        click.echo(public)
