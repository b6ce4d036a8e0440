"""Replay by levels, in parallel where one part does not wait for another."""

import multiprocessing
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace

from stairways.core.replay.report import SHOWN_FINDINGS, LevelReport
from stairways.service.data import load_registered
from stairways.service.replay.reexecution import POLICY, TRAINING, Advance, Reexecution, Segment
from stairways.service.replay.relearning import Relearning
from stairways.service.stairway.plan import Plan
from stairways.service.stairway.run import Job
from stairways.service.stairway.surroundings import machine
from stairways.service.stairway.unfinished import start_of
from stairways.store.contract import Context, EventStore
from stairways.store.opening import open_sql_store

LEVELS = (POLICY, TRAINING)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run in a log: where the log is, which run, and what it was told to do."""

    url: str
    run: str
    plan: Plan


def reexecute(
    what: Recorded, store: EventStore, levels: Iterable[str], jobs: int, advance: Advance
) -> list[LevelReport]:
    """Execute a run again at ``levels`` and return a report each.

    Level ``policy`` is divided over ``jobs`` processes; in ``training`` every update waits for
    the one before it.
    """
    again = Reexecution(_job(store, what), advance)
    reports = []
    for level in levels:
        if level == TRAINING:
            reports.append(_trained(Reexecution(again.job, advance)))
        elif jobs > 1:
            reports.append(_in_parallel(what, again.segments(), jobs, advance))
        else:
            reports.append(again.policy())
    return reports


def _trained(again: Reexecution) -> LevelReport:
    """Execute the training from its seed, or update by update where bits cannot be the same."""
    return Relearning(again).training() if again.tolerance else again.training()


def merged(parts: Sequence[LevelReport]) -> LevelReport:
    """Return the report of a level whose parts were compared apart."""
    checked: Counter[str] = Counter()
    for part in parts:
        checked.update(part.checked)
    findings = sorted((f for part in parts for f in part.findings), key=lambda f: f.position)
    found = sum(part.found for part in parts)
    return replace(parts[0], checked=dict(checked), findings=findings[:SHOWN_FINDINGS], found=found)


def _in_parallel(
    what: Recorded, segments: Sequence[Segment], jobs: int, advance: Advance
) -> LevelReport:
    """Compare segments in processes of their own, each with its own connection."""
    size = -(-len(segments) // jobs)
    shares = [segments[start : start + size] for start in range(0, len(segments), size)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(shares), mp_context=context) as pool:
        work = {pool.submit(_share, what, share): share for share in shares}
        for done in as_completed(work):
            advance(work[done][-1].end - work[done][0].boundary)
        return merged([future.result() for future in work])


def _share(what: Recorded, segments: Sequence[Segment]) -> LevelReport:
    """Compare one share of a run's segments; runs in a process of its own."""
    store = open_sql_store(what.url, read_only=True)
    try:
        return Reexecution(_job(store, what), _nobody).policy(segments)
    finally:
        store.close()


def _job(store: EventStore, what: Recorded) -> Job:
    return Job(
        run=what.run,
        plan=what.plan,
        bars=load_registered(store, start_of(store, what.run).data),
        store=store,
        context=_never,
        watcher=_Blind(),
    )


def _nobody(_amount: int) -> None: ...


def _never() -> Context:
    raise AssertionError("a replay appends nothing")


class _Blind:
    """A watcher that sees nothing; the re-execution puts its own in its place."""

    def advanced(self, *_: object) -> None: ...

    def noted(self, *_: object) -> None: ...


def differing_machine(recorded: Mapping[str, str]) -> dict[str, str]:
    """Return what of the machine a run was recorded on differs from this one, both values."""
    now = machine()
    return {
        key: f"{recorded.get(key, '-')} then, {now.get(key, '-')} now"
        for key in sorted(recorded.keys() | now.keys())
        if recorded.get(key) != now.get(key)
    }
