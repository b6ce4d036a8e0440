"""What a run's results are worth, as the log tells it now; no model is needed for that."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from stairways.core import events as e
from stairways.core.projections import RunSummary
from stairways.core.skill import NO_EVIDENCE, SkillRules, Trial, trials_among, weighed_again
from stairways.core.values import Position
from stairways.service.replay.setup import statistics_from
from stairways.service.runs import run_stream
from stairways.service.skill.trials import known_trials
from stairways.service.stairway.journal import decoded
from stairways.service.stairway.unfinished import start_of, summary_of
from stairways.store.contract import EventStore

Row = dict[str, Any]
VALIDATE, TEST = "validate", "test"
NOTHING_SERVED = f"{NO_EVIDENCE}: no model of this run was promoted"
NOT_WEIGHED = f"{NO_EVIDENCE}: this run is from before results were weighed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One evaluation as it was recorded, and what is left of it among all trials known now."""

    position: Position
    measured: e.SkillMeasured
    baselines: e.BaselinesMeasured | None
    trials_now: int
    deflated_now: float
    reason_now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """Whether the model a run serves shows any skill; ``served`` is None where it serves none."""

    skill: bool
    reason: str
    confidence: float
    served: Result | None


def conclusion(store: EventStore, run: str) -> Conclusion:
    """Return whether the model that a run promoted last shows any skill on unseen bars.

    Every model that this log says was tried on those bars counts, also after it, also of
    other runs.
    """
    known = list(known_trials(store, start_of(store, run).data))
    return concluded(_weighed(store, run), known, summary_of(store, run), _rules(store, run))


def concluded(
    events: Sequence[tuple[Position, e.Event]],
    known: Sequence[Trial],
    summary: RunSummary,
    rules: SkillRules,
) -> Conclusion:
    """Return the conclusion about a run from its weighed results and all trials on its bars."""
    place, confidence = _served(summary), rules.confidence
    own = [
        one
        for one in _results(events, known, rules)
        if (one.measured.cycle, one.measured.attempt) == place and one.measured.window == VALIDATE
    ]
    if place is None or not own:
        reason = NOTHING_SERVED if place is None else NOT_WEIGHED
        return Conclusion(skill=False, reason=reason, confidence=confidence, served=None)
    reason = own[-1].reason_now
    skill = not reason.startswith(NO_EVIDENCE)
    return Conclusion(skill=skill, reason=reason, confidence=confidence, served=own[-1])


def results(store: EventStore, run: str) -> list[Result]:
    """Return every weighed evaluation of a run, in order."""
    known = list(known_trials(store, start_of(store, run).data))
    return _results(_weighed(store, run), known, _rules(store, run))


def _results(
    events: Sequence[tuple[Position, e.Event]], known: Sequence[Trial], rules: SkillRules
) -> list[Result]:
    baselines = {place: event for place, event in events if isinstance(event, e.BaselinesMeasured)}
    return [
        _result(place, event, baselines, known, rules)
        for place, event in events
        if isinstance(event, e.SkillMeasured)
    ]


def skill_rows(store: EventStore, run: str) -> list[Row]:
    """Return every weighed evaluation of a run as a flat row."""
    return [_row(run, result) for result in results(store, run)]


def _weighed(store: EventStore, run: str) -> list[tuple[Position, e.Event]]:
    kinds = ("BaselinesMeasured", "SkillMeasured")
    return [(one.position, decoded(one)) for one in store.read(stream=run_stream(run), types=kinds)]


def _result(
    place: Position,
    event: e.SkillMeasured,
    baselines: dict[Position, e.BaselinesMeasured],
    known: Sequence[Trial],
    rules: SkillRules,
) -> Result:
    bars = event.first_bar, event.last_bar
    trials = trials_among(known, bars, before=None)
    deflated, reason = weighed_again(event, trials, rules)
    return Result(
        position=place,
        measured=event,
        baselines=baselines.get(event.evidence[-1]) if event.evidence else None,
        trials_now=len(trials),
        deflated_now=deflated,
        reason_now=reason,
    )


def _rules(store: EventStore, run: str) -> SkillRules:
    return statistics_from(start_of(store, run).settings) or SkillRules()


def _served(summary: RunSummary) -> tuple[int, int] | None:
    """Return cycle and attempt of the model that was promoted last."""
    promoted = [one for one in summary.cycles if one.verdict == "promoted"]
    return (promoted[-1].cycle, promoted[-1].attempt) if promoted else None


def _row(run: str, result: Result) -> Row:
    """Return a result with the three numbers of each interval as columns of their own."""
    row: Row = {"run": run, "position": result.position}
    for name, value in asdict(result.measured).items():
        if name in INTERVALS:
            row |= {f"{name}_low": value[0], name: value[1], f"{name}_high": value[2]}
        else:
            row[name] = value
    simple = result.baselines
    row |= {
        "buy_and_hold": simple.buy_and_hold if simple else None,
        "always_hold": simple.always_hold if simple else None,
        "random": list(simple.random) if simple else None,
        "trials_now": result.trials_now,
        "deflated_now": result.deflated_now,
        "reason_now": result.reason_now,
        "skill_now": not result.reason_now.startswith(NO_EVIDENCE),
    }
    return row


INTERVALS = ("sharpe", "profit", "over_buy_and_hold", "over_always_hold", "over_random")
"""Fields of ``SkillMeasured`` that are a figure between two bounds."""

ALL_OF_SKILL = (
    "run",
    "position",
    *(
        column
        for field in fields(e.SkillMeasured)
        for column in (
            (f"{field.name}_low", field.name, f"{field.name}_high")
            if field.name in INTERVALS
            else (field.name,)
        )
    ),
    *("buy_and_hold", "always_hold", "random"),
    *("trials_now", "deflated_now", "skill_now", "reason_now"),
)
"""Every column of ``skill_rows``."""
