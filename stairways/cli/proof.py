"""``stairways proof``: prove a record, or a continuation, to somebody without the log."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stairways.cli.printing import shown
from stairways.cli.writing import check_place, write_whole
from stairways.core.values import Position
from stairways.errors import ProofWrongError

if TYPE_CHECKING:
    from stairways.bootstrap import App

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("position", type=click.IntRange(1), required=False)
@click.option(
    "--consistency",
    type=(int, int),
    metavar="OLD NEW",
    help="Prove that the log of NEW events continues that of OLD.",
)
@click.option("--check", type=_FILE, help="Check a proof file instead; needs --key, no log.")
@click.option("--key", "keys", multiple=True, metavar="KEY", help="A public key to trust.")
@click.option("--output", "-o", type=_FILE, help="Write to this file instead of stdout.")
@click.pass_obj
def command(  # noqa: PLR0917 - click passes by name
    app: "App",
    position: int | None,
    consistency: tuple[int, int] | None,
    check: Path | None,
    keys: tuple[str, ...],
    output: Path | None,
) -> None:
    """Write a proof that the record at POSITION is under the newest signed checkpoint.

    The file is a C2SP tlog-proof with the record in its `extra` line: it needs nothing else
    but the public key. With --consistency it is a C2SP tlog-witness request.

    With --check the record is printed if its proof holds; exits with 1 when it does not.
    """
    from stairways.service import seal as service  # noqa: PLC0415 - help starts light

    if sum(choice is not None for choice in (position, consistency, check)) != 1:
        raise click.UsageError("Name a POSITION, or --consistency OLD NEW, or --check FILE.")
    check_place("--output", output)
    if check is not None:
        try:
            text = service.checked_record(check, service.read_keys(keys))
        except ProofWrongError as error:
            click.echo(shown(str(error)), err=True)
            raise SystemExit(1) from error
    elif consistency is not None:
        with app.log(read_only=True) as store:
            text = service.consistency_file(store, *consistency)
    else:
        with app.log(read_only=True) as store:
            note = service.newest_note(store)
            text = str(service.prove_record(store, Position(position or 0), note))
    if output is None:
        click.echo(text, nl=False)
    else:
        write_whole("--output", output, text.encode())
