"""``stairways daemon``: keep schedules, and say how they stand."""

import contextlib
import functools
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
import structlog

from stairways.cli.columns import OUTLOOKS, SCHEDULES
from stairways.cli.printing import print_json, print_rows
from stairways.cli.speaking import say
from stairways.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from stairways.bootstrap import App
    from stairways.daemon.keeping import Daemon
    from stairways.daemon.schedule import Schedule
    from stairways.store.contract import Appended, EventStore
    from stairways.store.sql import SqlStore

_LOG = structlog.get_logger("daemon")

PATIENCE = 5.0
"""Seconds to wait for the database before looking whether a signal came; then it waits on."""

LONGEST_CHECK = 600.0
"""Seconds after which nobody waits any more for what a check of the schedules found."""


@click.group(invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Keep the schedules of the settings: train each stairway when it is due.

    \b
    A schedule is a table of stairways.toml:
      [schedule.nightly]
      cron = "30 22 * * mon-fri"        # or: every = 3600
      timezone = "America/New_York"
      bars = ["NVDA.csv", "MSFT.csv"]   # or: data = "nvda-msft-1d"

    It runs until SIGTERM or Ctrl-C, which let every run finish its rollout; SIGHUP reads the
    settings again. Start it on as many machines as you like: a due time is trained once, and
    when a daemon dies another goes on with its runs within seconds. The commands below work
    from any shell that reaches the same log.
    """  # noqa: D301 - click's mark for lines that stay as they are
    if ctx.invoked_subcommand is None:
        _keep(ctx.obj)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def status(app: "App", as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Say how every schedule stands: last fire, result or progress, next due time, who keeps it.

    Exits with 1 when somebody should look: a schedule failed since it last succeeded, its run was
    interrupted, its next run could not begin (of files, `daemon check` knows), nobody keeps it
    though it is not paused, or all is halted.
    """
    from stairways.cli.planned import registered_trouble  # noqa: PLC0415 - help must start light
    from stairways.daemon.standing import is_in_order, remarks, schedule_rows  # noqa: PLC0415 - as above
    from stairways.service.operation.halt import sentence  # noqa: PLC0415 - as above

    with app.log(read_only=True) as store:
        known = functools.partial(registered_trouble, app, store)
        rows, halt = schedule_rows(store, app.clock(), known)
    if as_json:
        told = None if halt is None else {"who": halt.who, "reason": halt.reason}
        print_json({"halted": told, "schedules": rows})
    elif rows:
        print_rows(app.out, rows, SCHEDULES, "table")
        for remark in remarks(rows):
            say(f"{remark.rstrip('.')}.")
    else:
        say("The log knows no schedule yet; start one with `stairways daemon`.")
    if halt is not None:
        say(sentence(halt))
    if halt is not None or not all(map(is_in_order, rows)):
        raise SystemExit(1)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def check(app: "App", as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Say of every schedule of the settings whether a run could begin now, and begin none.

    Looks at settings, options, bars and windows as `stairways train` would: run it before the
    daemon is started, and before SIGHUP. Exits with 1 when a schedule could not train.
    """
    from stairways.cli.planned import outlooks  # noqa: PLC0415 - help must start light

    _refuse_unfit(app.settings.schedule)
    found = outlooks(app)
    rows = [one._asdict() for one in found]
    if as_json:
        print_json({"schedules": rows})
    else:
        print_rows(app.out, rows, OUTLOOKS, "table")
    raise SystemExit(0 if all(one.fit for one in found) else 1)


_NAME = click.argument("schedule")
_REASON = click.option("--reason", required=True, help="Why; it is recorded.")
_WHO = click.option("--who", help="The name that is recorded [default: the actor of the log].")


@command.command()
@_NAME
@_REASON
@_WHO
@click.pass_obj
def pause(app: "App", schedule: str, reason: str, who: str | None) -> None:
    """Let SCHEDULE not fire until it is resumed; a run that began goes on to its end."""
    from stairways.service.operation.schedules import pause as order  # noqa: PLC0415 - as above

    _order(app, order, schedule, reason, who)
    say(f"{schedule} is paused.")


@command.command()
@_NAME
@_REASON
@_WHO
@click.pass_obj
def resume(app: "App", schedule: str, reason: str, who: str | None) -> None:
    """Let SCHEDULE fire again, from its next due time on."""
    from stairways.service.operation.schedules import resume as order  # noqa: PLC0415 - as above

    _order(app, order, schedule, reason, who)
    say(f"{schedule} fires again at its next due time.")


@command.command()
@_NAME
@_REASON
@_WHO
@click.pass_obj
def trigger(app: "App", schedule: str, reason: str, who: str | None) -> None:
    """Train SCHEDULE now, or as soon as nobody trains its model, even while it is paused."""
    from stairways.service.operation.schedules import holders, run_now  # noqa: PLC0415 - as above

    def order(store: "EventStore", name: str, **words: Any) -> "Appended":  # noqa: ANN401 - passed on
        ordered = run_now(store, name, now=app.clock(), **words)
        if name not in holders(store):
            say(f"Nobody keeps {name} now; it waits for a daemon that does.")
        return ordered

    _order(app, order, schedule, reason, who)
    say(f"{schedule} is ordered; `stairways daemon status` shows it.")


def _order(
    app: "App", order: "Callable[..., Appended]", schedule: str, reason: str, who: str | None
) -> None:
    """Record a person's order about a schedule and print where it stands."""
    with app.log() as store:
        context, name = app.context("operator"), app.actor if who is None else who
        appended = order(store, schedule, who=name, reason=reason, context=context)
    click.echo(appended.last)


def _keep(app: "App") -> None:
    """Run the daemon until it is told to stop."""
    from stairways.daemon.alarm import Alarm  # noqa: PLC0415 - as above
    from stairways.daemon.keeping import Daemon, Outside  # noqa: PLC0415 - as above
    from stairways.service.operation.leases import Holding  # noqa: PLC0415 - as above
    from stairways.service.operation.processes import this_process  # noqa: PLC0415 - as above

    settings = app.settings
    _refuse_unfit(settings.schedule)
    signals = Signals()
    with (
        app.log(make=True, patience=PATIENCE) as store,
        Holding(store, this_process(), settings.daemon.lease_seconds) as holding,
    ):
        outside = Outside(
            store=store,
            holding=holding,
            launch=_launcher(app),
            clock=app.clock,
            new_id=app.new_id,
            context=app.context,
            host=socket.gethostname(),
        )
        daemon = Daemon(outside, settings.schedule, settings.daemon)
        alarm = Alarm(signals.wake)
        daemon.start()
        _LOG.info("daemon started", schedules=", ".join(settings.schedule), log=app.shown_database)
        _look_ahead()
        with _scraped(app, store):
            _loop(app, daemon, alarm, signals)


def _refuse_unfit(schedules: "Mapping[str, Schedule]") -> None:
    """Raise ``SettingsError`` if there is no schedule, or one that could never train.

    None, as where the file was taken away.
    """
    from stairways.cli.planned import refuse_unfit  # noqa: PLC0415 - as above

    if not schedules:
        raise SettingsError(
            "The settings have no schedule; write a table [schedule.NAME] into stairways.toml "
            "(`stairways daemon --help` shows one)."
        )
    for name, schedule in schedules.items():
        refuse_unfit(name, schedule)


def _look_ahead() -> None:
    """Say of which schedules no run could begin now; what is missing may still come in time.

    A process of its own looks, for bars may be large: this program again, asked to check.
    """
    threading.Thread(target=_tell_outlooks, daemon=True).start()


def _tell_outlooks() -> None:
    command = [sys.executable, "-m", "stairways", *sys.argv[1:], "check", "--json"]
    with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
        done = subprocess.run(  # noqa: S603 - this program again
            command, capture_output=True, text=True, check=False, timeout=LONGEST_CHECK
        )
        for one in json.loads(done.stdout)["schedules"]:
            if not one["fit"]:
                told = {"schedule": one["schedule"], "reason": one["found"]}
                _LOG.warning("a run could not begin as things are", **told)


@contextmanager
def _scraped(app: "App", store: "SqlStore") -> "Iterator[None]":
    """Serve metrics meanwhile; where another program has the port, say so and wait for it.

    The runs push theirs themselves, each under its schedule.
    """
    rules = replace(app.settings.metrics, gateway=None)
    with app.exporter(store, rules=rules, serve=True, waits=True):
        yield


class Signals:
    """What the operating system told this process, and what wakes it."""

    def __init__(self) -> None:
        self.wake = threading.Event()
        self.stop = ""
        self.reload = False
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGHUP, self._reload)

    def _stop(self, number: int, _: object) -> None:
        self.stop = signal.Signals(number).name
        self.wake.set()

    def _reload(self, *_: object) -> None:
        self.reload = True
        self.wake.set()


def _loop(app: "App", daemon: "Daemon", alarm: Any, signals: Signals) -> None:  # noqa: ANN401 - imported late
    from stairways.daemon.supervisor import ALIVE, LONGEST_SILENCE, READY, tell  # noqa: PLC0415 - help must start light

    schedules = app.settings.schedule
    poll = min(app.settings.daemon.poll_seconds, LONGEST_SILENCE)
    supervisor = app.environment.get("NOTIFY_SOCKET")
    alarm.set(schedules)
    tell(supervisor, READY)
    while not signals.stop:
        tell(supervisor, ALIVE)
        if signals.reload:
            signals.reload = False
            _reload(app, daemon, alarm)
        daemon.tick()
        signals.wake.wait(poll)
        signals.wake.clear()
    alarm.stop()
    _LOG.info("daemon stops; its runs finish their rollouts", reason=signals.stop)
    daemon.stop(signals.stop, threading.Event().wait)


def _reload(app: "App", daemon: "Daemon", alarm: Any) -> None:  # noqa: ANN401 - imported late
    """Read the settings again; if they are not fit, say so and keep the old ones."""
    try:
        schedules, unheard = app.read_again()
        _refuse_unfit(schedules)
    except SettingsError as error:
        _LOG.error("the old settings are kept: the new ones are not fit", reason=str(error))
        return
    if unheard:
        _LOG.warning("these settings count only from the next start", settings=", ".join(unheard))
    daemon.reload(schedules)
    alarm.set(schedules)
    _LOG.info("settings were read again", schedules=", ".join(schedules))
    _look_ahead()


def _launcher(app: "App") -> "Callable[[str, Schedule, str, int], Any]":
    """Return what starts `stairways train` with everything said on its command line."""
    from stairways.daemon.workers import Process, arguments  # noqa: PLC0415 - as above

    style = "--json-logs" if app.logs_are_json else "--no-json-logs"
    quiet = ["--log-level", app.settings.log.level, style]

    def launch(name: str, schedule: "Schedule", run: str, seed: int, /) -> Process:
        said: Sequence[str] = arguments(schedule, run, seed)
        command = [sys.executable, "-m", "stairways", *quiet, *said]
        return Process(command, app.environment_of_runs(name), is_json=app.logs_are_json, run=run)

    return launch
