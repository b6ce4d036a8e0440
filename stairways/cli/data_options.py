"""What the user declares about files, as options that every command on files shares."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from stairways.market.aligned import Aligned
    from stairways.market.options import Options
    from stairways.market.series import Basis

Command = Callable[..., None]

FILES = click.argument("files", nargs=-1, required=True, metavar="[SYMBOL=]FILE…")
JSON = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
PLOT = click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the closes, findings marked, into a .png or .svg file.",
)
ADJUSTMENTS = ("raw", "splits", "splits+dividends")
ASSUMED = "splits"
"""What prices that are to be trained on are adjusted for where nobody says; a line tells."""


@dataclass(frozen=True, slots=True)
class Declared:
    """The values of the options, as they were given."""

    values: dict[str, Any]

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols to take, in order; none means all."""
        return tuple(self.values["symbols"])

    def options(self) -> "Options":
        """Return what was declared about the files."""
        from stairways.market.options import Options  # noqa: PLC0415 - help must start in a blink

        names = (
            "timezone",
            "dates",
            "stamps",
            "duplicates",
            "empty_rows",
            "hours",
            "first",
            "last",
        )
        return Options(**{name: self.values[name] for name in names})

    def basis(self) -> "Basis":
        """Return what was declared about the symbols."""
        from stairways.market.adjustment import split_of  # noqa: PLC0415 - as above
        from stairways.market.series import Basis  # noqa: PLC0415 - as above

        return Basis(
            adjustment=self.values["adjustment"],
            calendar=self.values["calendar"],
            splits=tuple(split_of(text) for text in self.values["splits"]),
        )

    def assuming(self, adjustment: str) -> "Declared":
        """Return the same with ``adjustment`` where none was given."""
        return Declared({**self.values, "adjustment": self.values["adjustment"] or adjustment})

    def load(self, files: tuple[str, ...]) -> "Aligned":
        """Return the aligned bars of ``files``; asks for the adjustment if it is missing."""
        from stairways.errors import BarsRefusedError  # noqa: PLC0415 - as above
        from stairways.market.loading import load_declared  # noqa: PLC0415 - as above

        basis = self.basis()
        if basis.adjustment is None:
            listed = ", ".join(ADJUSTMENTS)
            raise BarsRefusedError(f"Say what the prices are adjusted for: --adjustment {listed}.")
        return load_declared(files, self.symbols, basis, self.options())


def declarations(command: Command) -> Command:
    """Add the options about files; the command receives them together as ``declared``."""

    @functools.wraps(command)
    def collected(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - click's own values
        declared = Declared({name: kwargs.pop(name) for name in DECLARATIONS})
        command(*args, declared=declared, **kwargs)

    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected


_OPTIONS = (
    click.option("--symbol", "symbols", multiple=True, help="Take only this one; repeatable."),
    click.option(
        "--adjustment",
        type=click.Choice(ADJUSTMENTS),
        help="What the prices are adjusted for. With splits+dividends and a column of adjusted "
        "closes, all prices are multiplied by adjusted close / close.",
    ),
    click.option(
        "--split",
        "splits",
        multiple=True,
        metavar="SYMBOL:DATE:NEW/OLD[:volume]",
        help="A split to apply to the bars before DATE, such as NVDA:2024-06-10:10/1; with "
        ":volume only to the volume. 1/1 says that there was none.",
    ),
    click.option("--timezone", metavar="ZONE", help="Of stamps without an offset."),
    click.option(
        "--calendar", metavar="CODE", help="Of the exchange [default: by suffix; XNYS without one]."
    ),
    click.option(
        "--dates",
        type=click.Choice(["day-first", "month-first"]),
        help="How to read a date like 3/4/2024.",
    ),
    click.option(
        "--stamps",
        type=click.Choice(["start", "end"]),
        help="Whether an intraday bar bears the time of its start or of its end.",
    ),
    click.option(
        "--duplicates",
        type=click.Choice(["refuse", "first", "last"]),
        default="refuse",
        show_default=True,
        help="Which of two rows with one time and different values counts.",
    ),
    click.option(
        "--empty-rows",
        type=click.Choice(["refuse", "drop"]),
        default="refuse",
        show_default=True,
        help="What to do with rows without prices.",
    ),
    click.option(
        "--hours",
        type=click.Choice(["regular", "all"]),
        default="regular",
        show_default=True,
        help="Whether to keep bars from before the open and after the close.",
    ),
    click.option("--from", "first", metavar="DATE", help="First session to use."),
    click.option("--until", "last", metavar="DATE", help="Last session to use."),
)
DECLARATIONS = (
    "symbols",
    "adjustment",
    "splits",
    "timezone",
    "calendar",
    "dates",
    "stamps",
    "duplicates",
    "empty_rows",
    "hours",
    "first",
    "last",
)
"""The names of these options as parameters of a command."""
