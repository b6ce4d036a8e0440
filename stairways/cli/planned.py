"""Whether the runs of a schedule could start at all: asked when it is read, not at night."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from stairways.errors import SettingsError

if TYPE_CHECKING:
    from stairways.daemon.schedule import Schedule

GIVEN = {
    "run_name": "--run",
    "bars": "--bars",
    "data": "--data",
    "model": "--model",
    "seed": "--seed",
    "until_input_ends": "--until-input-ends",
}
"""Options of `stairways train` that the daemon gives by itself, from a schedule's settings."""


def refuse_unfit(name: str, schedule: "Schedule") -> None:
    """Raise ``SettingsError`` for options that `stairways train` would not take from a schedule."""
    from stairways.bootstrap import App  # noqa: PLC0415 - help must start light
    from stairways.cli.train import command  # noqa: PLC0415 - as above

    begin = f"Schedule {name} has options that do not fit:"
    try:
        parsed = command.make_context("train", list(schedule.options), obj=App())
    except click.ClickException as error:
        raise SettingsError(f"{begin} {error.format_message()}") from error
    except click.exceptions.Exit as asked:  # --help
        raise SettingsError(f"{begin} they only ask.") from asked
    for parameter, option in GIVEN.items():
        if parsed.get_parameter_source(parameter) is ParameterSource.COMMANDLINE:
            raise SettingsError(f"{begin} {option} is given by the daemon.")


def missing_files(schedule: "Schedule") -> Iterator[str]:
    """Yield the files of bars that are not there now; they may come before a due time does."""
    for one in schedule.bars:
        file = one.partition("=")[2] or one
        if not Path(one).exists() and not Path(file).exists():
            yield file
