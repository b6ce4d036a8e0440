"""``stairways seal``: sign the log as it stands."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stairways.cli.printing import print_json
from stairways.cli.writing import check_place, write_whole

if TYPE_CHECKING:
    from stairways.bootstrap import App


@click.command()
@click.option(
    "--key",
    "key_file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="STAIRWAYS_KEY",
    show_envvar=True,
    help="The file of the private key; see `stairways keys new`.",
)
@click.option(
    "--timestamp",
    nargs=2,
    metavar="URL FILE",
    help="Have the RFC 3161 authority at URL stamp the checkpoint; its answer goes to FILE.",
)
@click.option("--list", "list_", is_flag=True, help="Print the checkpoints that are stored.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def command(
    app: "App",
    key_file: Path | None,
    timestamp: tuple[str, str] | None,
    *,
    list_: bool,
    as_json: bool,
) -> None:
    """Sign the log as it stands and print the checkpoint.

    Keep it, or better give it to somebody else to keep: `stairways verify --against FILE`
    finds any history that is not a continuation of it, even one that was signed again.
    """
    from stairways.service.seal import seal_log  # noqa: PLC0415 - help starts light
    from stairways.store.seal import read_key  # noqa: PLC0415 - as above

    check_place("--timestamp", Path(timestamp[1]) if timestamp else None)
    with app.log(read_only=list_) as store:
        if list_:
            notes = [note.decode() for note in store.checkpoints()]
        elif key_file is None:
            raise click.UsageError("Name the key with --key FILE or STAIRWAYS_KEY.")
        else:
            notes = [seal_log(store, read_key(key_file), app.context("seal"))]
    if timestamp is not None and not list_:
        from stairways.service.timestamps import time_stamp  # noqa: PLC0415 - as above

        write_whole("--timestamp", Path(timestamp[1]), time_stamp(notes[0].encode(), timestamp[0]))
    if as_json:
        print_json([{"checkpoint": note} for note in notes])
    else:
        click.echo("\n".join(notes), nl=False)
