"""``stairways tiles``: write the log as static files of a transparency log."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stairways.cli.printing import print_json

if TYPE_CHECKING:
    from stairways.bootstrap import App


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def command(app: "App", folder: Path, *, as_json: bool) -> None:
    """Write the log up to its newest signed checkpoint into FOLDER as C2SP tlog-tiles.

    Any web server can then offer it to any client of transparency logs.
    """
    from stairways.service.tiles import export_tiles  # noqa: PLC0415 - help starts light

    with app.log(read_only=True) as store:
        size = export_tiles(store, folder)
    if as_json:
        print_json({"folder": str(folder), "size": size})
    else:
        click.echo(f"Tiles of {size:,} records are in {folder}.")
