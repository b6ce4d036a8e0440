"""Which fold of a walk-forward is to be trained next."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from stairways.cli.portable import enter_recorded
from stairways.service.data import load_registered
from stairways.service.runs import run_names
from stairways.service.stairway.unfinished import start_of, unfinished_run
from stairways.service.stairway.walk_forward import fold_run, fold_to_come, place_of

if TYPE_CHECKING:
    from stairways.bootstrap import App
    from stairways.core.values import Digest
    from stairways.market.bars import Bars
    from stairways.service.stairway.plan import Plan
    from stairways.service.stairway.run import Job
    from stairways.store.contract import EventStore

Make = Callable[["App", "EventStore", str, "Plan", "Bars"], "Job"]
"""Makes the job of a run by name, plan and bars."""

_LOG = structlog.get_logger("train")


def next_fold(app: "App", store: "EventStore", run: str, make: Make) -> "Job | None":
    """Return the run of the fold that comes after ``run``, which has ended; None if none does."""
    place = fold_to_come(store, run)
    if place is None:
        return None
    start = start_of(store, run)
    plan = app.next_plan(start.settings, run, place.fold + 1)
    job = make(app, store, place.next_run, plan, load_registered(store, start.data))
    return replace(job, warm_start=start.warm_start)


def matching_fold(
    app: "App",
    store: "EventStore",
    bars: "Bars",
    warm_start: "Digest | None",
    *,
    name: str | None,
    make: Make,
) -> "Job":
    """Return the fold that is next in the newest walk-forward like this one, or the first."""
    unfinished = unfinished_run(store)
    run = unfinished or next(reversed(run_names(store)), None)
    place = None if run is None else place_of(store, run)
    if run is not None and place is not None:
        start, plan = start_of(store, run), app.fold_plan(place.fold)
        same = (bars.digest, plan.settings_digest, warm_start)
        if (start.data, start.settings_digest, start.warm_start) == same:
            going = (
                make(app, store, run, plan, bars)
                if unfinished
                else next_fold(app, store, run, make)
            )
            if going is not None:
                return going
    if unfinished:
        _LOG.warning("another run is unfinished; `stairways train` goes on with it", run=unfinished)
    first = make(app, store, fold_run(name or app.new_id(), 1), app.fold_plan(1), bars)
    return replace(first, warm_start=warm_start)


def fold_after_newest(app: "App", make: Make) -> "tuple[Job, EventStore] | None":
    """Return the next fold of a walk-forward that stopped between two of its runs."""
    store = app.open_log(make=False)
    newest = next(reversed(run_names(store)), None)
    if newest is not None and fold_to_come(store, newest) is not None:
        enter_recorded(start_of(store, newest).settings)
        job = next_fold(app, store, newest, make)
        if job is not None:
            return job, store
    store.close()
    return None
