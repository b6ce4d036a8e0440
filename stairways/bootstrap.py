"""The only place that builds objects from settings and reads the surroundings of the process."""

import getpass
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from stairways import logs, settings
from stairways.core.values import Position, is_utf8, without_password
from stairways.daemon.schedule import Schedule
from stairways.errors import LogUnavailableError, SettingsError
from stairways.logs import Progress
from stairways.metrics.rules import MetricsRules
from stairways.settings import Given, Settings
from stairways.store.contract import Context, EventStore

if TYPE_CHECKING:
    from stairways.metrics.exporter import Exporter
    from stairways.service.stairway.plan import Plan
    from stairways.store.sql import SqlStore


@dataclass(slots=True)
class Flags:
    """What the command line says about settings; filled while it is parsed, read once."""

    config: Path | None = None
    given: list[Given] = field(default_factory=list)

    def give(self, name: str, value: str, origin: str) -> None:
        """Note that the option ``origin`` sets ``name``."""
        self.given.append(Given(name, value, origin))


class App:
    """A started program: its settings, its log, its consoles, its clock and its name."""

    def __init__(
        self, flags: Flags | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.flags = flags or Flags()
        self.environment = os.environ if environment is None else environment
        self.console = logs.make_console()

    @cached_property
    def settings(self) -> Settings:
        """The settings of this program; the first use reads them and sets the logging up."""
        loaded = settings.load(
            file=self.flags.config, environment=self.environment, flags=self.flags.given
        )
        logs.configure(self.console, level=loaded.log.level, style=loaded.log.style)
        return loaded

    def read_again(self) -> tuple[Mapping[str, Schedule], Sequence[str]]:
        """Read the settings anew: return their schedules, and what else changed and stays as it is.

        What decides about runs reaches them with their schedules.
        """
        read = settings.load(
            file=self.flags.config, environment=self.environment, flags=self.flags.given
        )
        return read.schedule, settings.apart(self.settings, read)

    def environment_of_runs(self, schedule: str) -> Mapping[str, str]:
        """Return the environment of a process that trains for a schedule.

        What may hold a password goes this way: command lines are there for all to read.
        """
        named = replace(self.settings, metrics=replace(self.settings.metrics, schedule=schedule))
        return {
            **self.environment,
            **settings.as_environment(named, "metrics"),
            "STAIRWAYS_DATABASE_URL": self.database_url,
            "STAIRWAYS_ACTOR": self.actor,
        }

    @property
    def logs_are_json(self) -> bool:
        """Whether log lines are written for programs."""
        style = self.settings.log.style
        return style == "json" or (style == "auto" and not self.console.is_terminal)

    @property
    def database_url(self) -> str:
        """The URL of the log as given, secrets included; print ``shown_database`` instead."""
        return self.settings.log.database_url

    @property
    def shown_database(self) -> str:
        """The URL of the log without its password."""
        return without_password(self.database_url)

    def open_log(
        self, *, make: bool = False, read_only: bool = False, patience: float | None = None
    ) -> "SqlStore":
        """Open the log; only with ``make`` a SQLite file that is not there is made.

        With ``read_only`` nothing is changed, which also serves a reader who may not write.
        ``patience`` is how many seconds a busy or lost database is waited for.

        Raises ``LogUnavailableError`` or ``SchemaMismatchError``.
        """
        from stairways.store import opening  # noqa: PLC0415 - help must not pay for SQL

        if not make and self._missing_file():
            raise LogUnavailableError(
                f"There is no log at {self.shown_database}. Name it with --database-url, or "
                "make one with `stairways init`."
            )
        return opening.open_sql_store(
            self.database_url,
            clock=self.clock,
            patience=opening.PATIENCE if patience is None else patience,
            read_only=read_only,
        )

    @contextmanager
    def log(
        self, *, make: bool = False, read_only: bool = False, patience: float | None = None
    ) -> Iterator["SqlStore"]:
        """Open the log as ``open_log`` does, and close it at the end."""
        store = self.open_log(make=make, read_only=read_only, patience=patience)
        try:
            yield store
        finally:
            store.close()

    def _missing_file(self) -> bool:
        prefix, _, file = self.database_url.partition(":///")
        path = file.partition("?")[0]
        return (
            prefix.startswith("sqlite")
            and path not in ("", ":memory:")
            and not Path(path).is_file()
        )

    @cached_property
    def out(self) -> Console:
        """The console for data on stdout; as wide as its content when it is not a terminal."""
        return Console(highlight=False, width=None if sys.stdout.isatty() else 100_000)

    def plan(self) -> "Plan":
        """Return what the settings of this program tell a new run to do."""
        return _plan(self.settings)

    def fold_plan(self, fold: int) -> "Plan":
        """Return what the settings of this program tell one fold of a walk-forward to do."""
        return _plan(settings.for_fold(self.settings, fold))

    def next_plan(self, recorded: Mapping[str, str], run: str, fold: int) -> "Plan":
        """Return what the fold after a run in the log is told to do."""
        restored = settings.restored(recorded, f"run {run}", self.settings.log)
        return _plan(settings.for_fold(restored, fold))

    def recorded_plan(self, recorded: Mapping[str, str], run: str) -> "Plan":
        """Return what a run that is in the log was told to do."""
        return _plan(settings.restored(recorded, f"run {run}", self.settings.log))

    def schedule_plan(self, planned: Mapping[str, str]) -> "Plan":
        """Return what the settings of a schedule tell its runs to do."""
        return _plan(settings.restored(planned, "its settings", self.settings.log))

    def progress(self, title: str, total: int) -> AbstractContextManager[Progress]:
        """Show long work on stderr: a bar on a terminal, log lines elsewhere."""
        return logs.progress(self.console, title, total)

    def exporter(
        self,
        store: EventStore,
        *,
        rules: MetricsRules | None = None,
        serve: bool = False,
        waits: bool = False,
        project: bool | None = None,
        models: Sequence[str] | None = None,
    ) -> "Exporter":
        """Return what keeps metrics of ``store``, not started; ``serve`` opens an endpoint.

        With ``waits`` that is opened as soon as its port can be had.
        ``rules`` stand in for the settings of ``metrics``, as for another grouping key;
        ``project`` also keeps the read models in step, which is the default where it serves.
        """
        from stairways.metrics.exporter import Exporter  # noqa: PLC0415 - help starts in a blink

        return Exporter(
            store,
            rules or self.settings.metrics,
            lambda: self.context("metrics"),
            self.clock,
            serve=serve,
            waits=waits,
            project=serve if project is None else project,
            models=models,
        )

    def pushing(self, store: EventStore, model: str) -> AbstractContextManager[object]:
        """Push the metrics of a model while something runs; nothing without a gateway."""
        if self.settings.metrics.gateway is None:
            return nullcontext()
        return self.exporter(store, models=[model])

    def clock(self) -> datetime:
        """Return the time now, in UTC."""
        return datetime.now(tz=UTC)

    def new_id(self) -> str:
        """Return a name that no other run or append has: the day and six random letters."""
        letters = "".join(secrets.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(6))
        return f"{self.clock():%Y%m%d}-{letters}"

    @cached_property
    def actor(self) -> str:
        """Who acts: ``STAIRWAYS_ACTOR``, or user and machine; ``SettingsError`` unless UTF-8."""
        who = self.environment.get("STAIRWAYS_ACTOR") or f"{_user()}@{socket.gethostname()}"
        if not is_utf8(who):
            raise SettingsError(f"The actor {who!a} is no UTF-8 text; set STAIRWAYS_ACTOR.")
        return who

    def context(self, correlation: str, causation: Position | None = None) -> Context:
        """Return the context of one append that belongs to ``correlation``."""
        return Context(
            actor=self.actor,
            correlation=correlation,
            append_id=secrets.token_hex(16),
            causation=causation,
        )


def _plan(chosen: Settings) -> "Plan":
    from stairways.service.stairway.plan import Plan  # noqa: PLC0415 - help must not pay for training

    return Plan(
        model=chosen.run.model,
        seed=chosen.run.seed,
        programme=chosen.stairway,
        ppo=chosen.ppo,
        trading=chosen.trading,
        control=chosen.controller,
        limits=chosen.gates,
        statistics=chosen.statistics,
        settings=settings.flatten(chosen),
        settings_digest=settings.digest(chosen),
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number without a name
        return str(os.getuid())
