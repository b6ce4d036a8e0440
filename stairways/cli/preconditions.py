"""What is refused before any file is read: bad settings, a log that lasts not, unheard flags."""

from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from stairways.cli.data_options import DECLARATIONS
from stairways.errors import LogUnavailableError, SettingsError

if TYPE_CHECKING:
    from stairways.bootstrap import App


def check_surroundings(app: "App") -> None:
    """Raise what is wrong with the settings or with the URL of a log that has to last."""
    from sqlalchemy import make_url  # noqa: PLC0415 - help must not pay for SQL

    from stairways.store.opening import driver_for  # noqa: PLC0415 - as above

    app.plan()
    driver_for(app.database_url).engine.dispose()
    url = make_url(app.database_url)
    if url.get_backend_name() == "sqlite" and _in_memory(url.database, url.query.get("mode")):
        raise LogUnavailableError(
            f"{app.database_url} is a log in memory, gone when the program ends; "
            "name a file: sqlite:///FILE."
        )


def refuse_unheard_flags(app: "App", ctx: click.Context, reason: str, *, recorded: bool) -> None:
    """Refuse flags that would change nothing, because of ``reason``.

    Those are the ones about files of bars, and where everything is ``recorded`` also those that
    set anything else than where the log is and how the program talks.
    """
    unheard = [name for name in DECLARATIONS if _is_given(ctx, name)]
    flags = [next(o.opts[0] for o in ctx.command.params if o.name == name) for name in unheard]
    if recorded:
        flags += [one.origin for one in app.flags.given if not one.name.startswith("log.")]
    if flags:
        raise SettingsError(f"{', '.join(flags)} would change nothing: {reason}.")


def refuse_database_url(app: "App", instead: str) -> None:
    """Refuse ``--database-url`` in a command that keeps its log elsewhere."""
    if any(one.name == "log.database_url" for one in app.flags.given):
        raise SettingsError(f"The log's place is not --database-url here; {instead}.")


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _in_memory(database: str | None, mode: object) -> bool:
    return not database or ":memory:" in database or mode == "memory"
