"""``stairways train``: the main job."""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click
import structlog
from structlog.contextvars import bound_contextvars

from stairways.cli.data_options import ASSUMED, Declared, declarations
from stairways.cli.data_tables import findings_sentence
from stairways.cli.portable import enter, enter_recorded
from stairways.cli.preconditions import check_surroundings, refuse_unheard_flags
from stairways.cli.summary import print_summary
from stairways.cli.watching import Watcher
from stairways.core.values import NAME
from stairways.errors import SettingsError, StairwaysError
from stairways.logs import waiting

if TYPE_CHECKING:
    from stairways.bootstrap import App
    from stairways.core.projections import RunSummary
    from stairways.core.values import Digest
    from stairways.market.aligned import Aligned
    from stairways.market.bars import Bars
    from stairways.service.stairway.climb import Brake
    from stairways.service.stairway.plan import Plan
    from stairways.service.stairway.run import Job
    from stairways.service.stairway.warm_start import Start
    from stairways.store.contract import EventStore

_LOG = structlog.get_logger("train")


@click.command()
@click.option(
    "--bars",
    multiple=True,
    metavar="[SYMBOL=]FILE",
    help="A file of bars; once for each file. Several files of one symbol continue each other.",
)
@click.option("--data", metavar="NAME", help="Registered bars, by name or digest, instead.")
@declarations
@click.option("--model", metavar="NAME", help="Name of the model [default: default].")
@click.option("--seed", metavar="N", help="Seed of all chance in the run [default: 0].")
@click.option(
    "--portable/--no-portable",
    default=None,
    help="The same bits on every processor, or the fastest arithmetic of this one "
    "[default: run.portable].",
)
@click.option(
    "--warm-start",
    metavar="MODEL|DIGEST|FILE",
    help="Start from the parameters of a model, a digest in the log, a .safetensors file or a "
    ".zip archive of stable-baselines3.",
)
@click.option(
    "--run",
    "run_name",
    metavar="NAME",
    help="Name of the run [default: made up]; if the log has it, go on with it as it began.",
)
@click.option("--until-input-ends", is_flag=True, help="Stop at the next rollout after stdin ends.")
@click.option(
    "--walk-forward",
    "folds",
    type=click.IntRange(1),
    metavar="K",
    help="Train K runs on windows in time order, each tested on the bars after its own.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the run's summary as JSON.")
@click.pass_obj
def command(  # noqa: PLR0917 - click passes by name
    app: "App",
    bars: Sequence[str],
    data: str | None,
    model: str | None,
    seed: str | None,
    portable: bool | None,  # noqa: FBT001 - as below
    warm_start: str | None,
    run_name: str | None,
    until_input_ends: bool,  # noqa: FBT001 - as below
    folds: int | None,
    as_json: bool,  # noqa: FBT001 - a flag of the command line
    *,
    declared: Declared,
) -> None:
    """Train the stairway on bars, recording every step, and judge each cycle.

    The options about files are those of `stairways data import`; prices count as adjusted for
    splits unless --adjustment says otherwise. Without --bars and --data it goes on with the
    newest unfinished run; with them too, if the newest is unfinished and has the same bars and
    settings. Interrupt it at any time; nothing that was committed is lost or trained twice.
    """
    _check_name(run_name)
    if bars and data:
        raise click.UsageError("Give --bars or --data, not both.")
    if warm_start and not (bars or data):
        raise click.UsageError("--warm-start begins a run: give --bars or --data as well.")
    if folds and not (bars or data):
        raise click.UsageError("--walk-forward begins runs: give --bars or --data as well.")
    for name, value, flag in (
        ("run.model", model, "--model"),
        ("run.seed", seed, "--seed"),
        ("stairway.folds", str(folds) if folds else None, "--walk-forward"),
        ("run.portable", _text(portable), "--portable" if portable else "--no-portable"),
    ):
        if value is not None:
            app.flags.give(name, value, flag)
    _refuse_unheard(app, bars, data)
    if bars or data:
        enter(portable=app.settings.run.portable)
    check_surroundings(app)
    if run_name and _is_begun(app, run_name):
        job, store = _recorded_job(app, run_name)
    elif bars:
        job, store = _new_job(app, tuple(bars), declared, warm_start, run_name)
    elif data:
        job, store = _job_on_registered(app, data, warm_start, run_name)
    else:
        job, store = _unfinished_job(app)
    try:
        _train_all(app, store, job, as_json=as_json, until_input_ends=until_input_ends)
    finally:
        store.close()


def _check_name(run: str | None) -> None:
    """Refuse what no run may be called."""
    from stairways.service.runs import LATEST  # noqa: PLC0415 - help must start in a blink

    if run == LATEST:
        raise SettingsError(
            f"--run {LATEST} names no run, it means the newest; leave --run out to go on with it."
        )
    if run is not None and not NAME.fullmatch(run):
        raise SettingsError(
            f"--run {run!r} must be letters, digits, dots, dashes and underscores, 64 at most."
        )


def _text(given: bool | None) -> str | None:  # noqa: FBT001 - a flag, or none
    return None if given is None else str(given).lower()


def _train_all(
    app: "App", store: "EventStore", job: "Job", *, as_json: bool, until_input_ends: bool
) -> None:
    """Train a job and, in walk-forward, the folds after it, and print what they came to."""
    from stairways.cli.folds import print_walk  # noqa: PLC0415 - help must start in a blink
    from stairways.cli.train_folds import next_fold  # noqa: PLC0415 - as above
    from stairways.service.folding import folded_steering  # noqa: PLC0415 - as above
    from stairways.service.skill.weighing import conclusion  # noqa: PLC0415 - as above
    from stairways.service.stairway.walk_forward import place_of, walk_of  # noqa: PLC0415 - as above

    following: Job | None = job
    while following is not None:
        job = following
        summary = train(app, job, until_input_ends=until_input_ends)
        walking = place_of(store, job.run) is not None
        if not (walking and as_json):
            told = folded_steering(store, job.run), conclusion(store, job.run)
            print_summary(app, job.run, summary, *told, as_json=as_json)
        following = next_fold(app, store, job.run, _job)
    if walking:
        print_walk(app, walk_of(store, job.run), "json" if as_json else "table")


def _refuse_unheard(app: "App", bars: Sequence[str], data: str | None) -> None:
    """Refuse flags that nothing would come of with these bars, or with no bars."""
    ctx = click.get_current_context()
    if data:
        reason = "registered bars are taken as they are; give --bars to read files"
        refuse_unheard_flags(app, ctx, reason, recorded=False)
    elif not bars:
        reason = "without --bars and --data a recorded run goes on with its own bars and settings"
        refuse_unheard_flags(app, ctx, reason, recorded=True)


def train(app: "App", job: "Job", *, until_input_ends: bool = False) -> "RunSummary":
    """Run a job to its end behind a progress bar and return its summary from the log."""
    from stairways.service.operation.processes import this_process  # noqa: PLC0415 - as below
    from stairways.service.stairway.run import run_alone  # noqa: PLC0415 - torch is slow to load
    from stairways.service.stairway.unfinished import summary_of  # noqa: PLC0415 - as above

    plan = job.plan
    total = plan.programme.steps_per_cycle * len(plan.programme.cycles)
    with app.pushing(job.store, plan.model), app.progress(f"run {job.run}", total) as bar:
        bar.advance(0, "compiling the environment (first run only)")
        job.watcher.show(bar)  # type: ignore[attr-defined] # made below
        brake = _brake(job, until_input_ends=until_input_ends)
        with bound_contextvars(run=job.run, cycle=None, position=None):
            run_alone(replace(job, brake=brake), this_process())
    return summary_of(job.store, job.run)


def _brake(job: "Job", *, until_input_ends: bool) -> "Brake":
    """Return what stops a run at its next rollout: a halt in the log, SIGTERM, no more input."""
    from stairways.service.operation.halt import HaltWatch  # noqa: PLC0415 - help must start in a blink

    told: list[str] = []
    signal.signal(signal.SIGTERM, lambda *_: told.append("SIGTERM came; the run can go on."))
    if until_input_ends:
        threading.Thread(target=_await_end, args=(told,), daemon=True).start()
    watch = HaltWatch(job.store)
    return lambda: told[0] if told else watch()


def _await_end(told: list[str]) -> None:
    """Read standard input until whoever holds its other end closes it or is gone."""
    while os.read(sys.stdin.fileno(), 4096):
        continue
    told.append("Standard input ended; the run can go on.")


def _new_job(
    app: "App",
    bars: tuple[str, ...],
    declared: Declared,
    warm_start: str | None,
    run: str | None,
) -> tuple["Job", "EventStore"]:
    """Read and check the bars before anything is written, then register them."""
    aligned = declared.assuming(ASSUMED).load(bars)
    new = job_on(app, aligned, warm_start, run)
    if aligned.findings:
        _LOG.warning(findings_sentence(aligned.findings))
    if declared.values["adjustment"] is None:
        _LOG.info(f"prices were taken as adjusted for {ASSUMED}; --adjustment says otherwise")
    return new


def job_on(
    app: "App", aligned: "Aligned", warm_start: str | None = None, run: str | None = None
) -> tuple["Job", "EventStore"]:
    """Return a run on bars that were just read, registered once they will do."""
    from stairways.service.data import register_bars  # noqa: PLC0415 - help must start in a blink
    from stairways.service.stairway.plan import check_job  # noqa: PLC0415 - as above

    check_job(aligned.bars, app.plan())
    start = read_start(app, warm_start, len(aligned.bars.symbols))
    store = app.open_log(make=start is None or start.is_read)
    parameters = _settled(app, store, start)
    name = "-".join(aligned.bars.symbols).lower() + f"-{aligned.bars.frequency}"
    register_bars(store, aligned, name, app.context(name))
    return _matching_job(app, store, aligned.bars, parameters, run), store


def read_start(app: "App", what: str | None, symbols: int) -> "Start | None":
    """Return what a run starts from; a file is read and checked at once, the log is not."""
    if what is None:
        return None
    from stairways.service.stairway.warm_start import Start  # noqa: PLC0415 - help must start in a blink

    return Start(what, symbols, app.plan().ppo.hidden)


def _job_on_registered(
    app: "App", wanted: str, warm_start: str | None, run: str | None
) -> tuple["Job", "EventStore"]:
    """Return a run on bars that the log holds already."""
    from stairways.service.data import (  # noqa: PLC0415 - help must start in a blink
        find_data,
        load_registered,
    )
    from stairways.service.stairway.plan import check_job  # noqa: PLC0415 - as above

    store = app.open_log(make=False)
    try:
        bars = load_registered(store, find_data(store, wanted).event.digest)
        check_job(bars, app.plan())
        parameters = _settled(app, store, read_start(app, warm_start, len(bars.symbols)))
    except StairwaysError:
        store.close()
        raise
    return _matching_job(app, store, bars, parameters, run), store


def _settled(app: "App", store: "EventStore", start: "Start | None") -> "Digest | None":
    """Refuse to train a model that is being trained; else store what the run starts from."""
    from stairways.service.operation.leases import refuse_if_trained  # noqa: PLC0415 - as above

    refuse_if_trained(store, app.settings.run.model)
    if start is None:
        return None
    start.find_in(store)
    return start.keep_in(store)


def _matching_job(
    app: "App",
    store: "EventStore",
    bars: "Bars",
    warm_start: "Digest | None",
    name: str | None = None,
) -> "Job":
    """Return a new run of that name, or the unfinished one on these bars with these settings."""
    from stairways.service.stairway.unfinished import start_of, unfinished_run  # noqa: PLC0415 - as above

    if app.settings.stairway.folds and not app.settings.stairway.fold:
        from stairways.cli.train_folds import matching_fold  # noqa: PLC0415 - as above

        return matching_fold(app, store, bars, warm_start, name=name, make=_job)
    plan, run = app.plan(), unfinished_run(store)
    if run is not None and name is None:
        start = start_of(store, run)
        same = (bars.digest, plan.settings_digest, warm_start)
        if (start.data, start.settings_digest, start.warm_start) == same:
            return _job(app, store, run, plan, bars)
        _LOG.warning("another run is unfinished; `stairways train` goes on with it", run=run)
    return replace(_job(app, store, name or app.new_id(), plan, bars), warm_start=warm_start)


def _job(app: "App", store: "EventStore", run: str, plan: "Plan", bars: "Bars") -> "Job":
    from stairways.service.operation.leases import refuse_if_trained  # noqa: PLC0415 - as above

    refuse_if_trained(store, plan.model)
    with waiting(app.console, "loading torch"):
        from stairways.service.stairway.run import Job  # noqa: PLC0415 - torch is slow to load

    return Job(
        run=run,
        plan=plan,
        bars=bars,
        store=store,
        context=lambda: app.context(run),
        watcher=Watcher(plan),
    )


def _unfinished_job(app: "App") -> tuple["Job", "EventStore"]:
    from stairways.cli.train_folds import fold_after_newest  # noqa: PLC0415 - as below
    from stairways.service.stairway.unfinished import unfinished_run  # noqa: PLC0415 - as above

    with app.log() as store:
        run = unfinished_run(store)
    if run is not None:
        return _recorded_job(app, run)
    following = fold_after_newest(app, _job)
    if following is None:
        raise click.UsageError("No run is unfinished; give --bars FILE for each symbol.")
    return following


def _is_begun(app: "App", run: str) -> bool:
    """Tell whether the log has a run of that name; without a log it has none."""
    from stairways.service.runs import is_started, run_stream  # noqa: PLC0415 - as above

    with app.log(make=True) as store:
        return is_started(store, run_stream(run))


def _recorded_job(app: "App", run: str) -> tuple["Job", "EventStore"]:
    """Return a run of the log with its own settings and bars, to go on with it."""
    from stairways.service.data import load_registered  # noqa: PLC0415 - help must start in a blink
    from stairways.service.stairway.unfinished import start_of  # noqa: PLC0415 - as above

    store = app.open_log(make=False)
    start = start_of(store, run)
    enter_recorded(start.settings)
    plan = app.recorded_plan(start.settings, run)
    return _job(app, store, run, plan, load_registered(store, start.data)), store
