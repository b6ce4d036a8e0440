"""Whether the runs of a schedule could start at all: asked when it is read, not at night."""

import functools
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import click
from click.core import ParameterSource

from stairways.errors import SettingsError, StairwaysError

if TYPE_CHECKING:
    from stairways.bootstrap import App
    from stairways.daemon.schedule import Schedule
    from stairways.market.bars import Bars
    from stairways.service.stairway.plan import Plan
    from stairways.store.contract import EventStore

    OpenLog = Callable[[], EventStore]

GIVEN = {
    "run_name": "--run",
    "bars": "--bars",
    "data": "--data",
    "model": "--model",
    "seed": "--seed",
    "until_input_ends": "--until-input-ends",
}
"""Options of `stairways train` that the daemon gives by itself, from a schedule's settings."""


PATIENCE = 3.0
"""Seconds to wait for the log before it counts as gone."""


class Outlook(NamedTuple):
    """Whether a run of a schedule could begin now: on which bars, or why not."""

    schedule: str
    fit: bool
    found: str


def outlooks(app: "App") -> list[Outlook]:
    """Return of every schedule of the settings whether a run could begin now."""
    with ExitStack() as stack:

        @functools.cache
        def log() -> "EventStore":
            return stack.enter_context(app.log(read_only=True, patience=PATIENCE))

        planned = app.settings.schedule
        return [outlook(app, name, schedule, log) for name, schedule in planned.items()]


def outlook(app: "App", name: str, schedule: "Schedule", log: "OpenLog") -> Outlook:
    """Return whether a run of ``schedule`` could begin now; all that it needs is looked at.

    ``log`` opens the log that holds registered bars. Nothing is written.
    """
    try:
        plan = plan_of(app, name, schedule.settings, schedule.seed)
        bars = _bars(schedule, log)
        _check(bars, plan)
        _check_start(schedule, plan, bars, log)
    except StairwaysError as error:
        return Outlook(name, fit=False, found=str(error))
    return Outlook(name, fit=True, found=_words(bars))


def registered_trouble(
    app: "App", store: "EventStore", name: str, definition: Mapping[str, str]
) -> str:
    """Return why a schedule, as the log has it, could not train; nothing if it could.

    Files of bars are not looked at: they are named from where its daemon runs.
    """
    begin = "settings."
    chosen = {
        key.removeprefix(begin): text for key, text in definition.items() if key.startswith(begin)
    }
    try:
        plan = plan_of(app, name, chosen, int(definition["seed"]))
        if definition["data"]:
            _check(_registered(store, definition["data"]), plan)
    except StairwaysError as error:
        return str(error)
    return ""


def plan_of(app: "App", name: str, settings: Mapping[str, str], seed: int) -> "Plan":
    """Return what the runs of a schedule do; raises ``SettingsError`` for what none could do."""
    try:
        return app.schedule_plan({**settings, "run.seed": str(seed)})
    except SettingsError as error:
        raise SettingsError(f"Schedule {name} could never train: {error}") from error


def _bars(schedule: "Schedule", log: "OpenLog") -> "Bars":
    if schedule.data:
        return _registered(log(), schedule.data)
    from stairways.cli.data_options import ASSUMED, DECLARATIONS, Declared  # noqa: PLC0415 - help is light

    given = _parsed(schedule).params
    declared = Declared({name: given[name] for name in DECLARATIONS})
    return declared.assuming(ASSUMED).load(schedule.bars).bars


def _registered(store: "EventStore", wanted: str) -> "Bars":
    from stairways.service.data import find_data, load_registered  # noqa: PLC0415 - help is light

    return load_registered(store, find_data(store, wanted).event.digest)


def _check(bars: "Bars", plan: "Plan") -> None:
    from stairways.service.stairway.plan import check_job  # noqa: PLC0415 - as above

    check_job(bars, plan)


def _check_start(schedule: "Schedule", plan: "Plan", bars: "Bars", log: "OpenLog") -> None:
    """Raise what is wrong with the model that runs begin from, if the options name one."""
    what = _parsed(schedule).params["warm_start"]
    if what is not None:
        from stairways.service.stairway.warm_start import Start  # noqa: PLC0415 - torch is slow

        Start(what, len(bars.symbols), plan.ppo.hidden).find_in(log())


def _words(bars: "Bars") -> str:
    from stairways.service.stairway.plan import bar_time  # noqa: PLC0415 - as above

    span = f"{bar_time(bars, 0):%Y-%m-%d} to {bar_time(bars, -1):%Y-%m-%d}"
    return f"{', '.join(bars.symbols)} {bars.frequency}: {len(bars):,} bars, {span}"


def refuse_unfit(name: str, schedule: "Schedule") -> None:
    """Raise ``SettingsError`` for what `stairways train` would not take from a schedule."""
    from stairways.bootstrap import App  # noqa: PLC0415 - help must start light

    begin = f"Schedule {name} has options that do not fit:"
    try:
        parsed = _parsed(schedule)
    except click.ClickException as error:
        raise SettingsError(f"{begin} {error.format_message()}") from error
    except click.exceptions.Exit as asked:  # --help
        raise SettingsError(f"{begin} they only ask.") from asked
    for parameter, option in GIVEN.items():
        if parsed.get_parameter_source(parameter) is ParameterSource.COMMANDLINE:
            raise SettingsError(f"{begin} {option} is given by the daemon.")
    plan_of(App(), name, schedule.settings, schedule.seed)


def _parsed(schedule: "Schedule") -> click.Context:
    """Return what the options of a schedule say to `stairways train`."""
    from stairways.bootstrap import App  # noqa: PLC0415 - help must start light
    from stairways.cli.train import command  # noqa: PLC0415 - as above

    return command.make_context("train", list(schedule.options), obj=App())
