"""How a run went: one row an attempt, then one sentence that counts the same rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from stairways.cli.columns import CYCLES
from stairways.cli.printing import print_json, print_rows
from stairways.core.projections import CycleSummary, RunSummary
from stairways.core.steering import Attempt, Steering
from stairways.service.skill.told import conclusion_lines

if TYPE_CHECKING:
    from stairways.bootstrap import App
    from stairways.service.skill.weighing import Conclusion


Steered = Mapping[Attempt, Steering]
SELDOM = 0.1
"""Orders filled for each decision to trade below which a summary speaks of it."""


def print_summary(
    app: "App",
    run: str,
    summary: RunSummary,
    steered: Steered,
    found: "Conclusion",
    *,
    as_json: bool,
) -> None:
    """Print how a run went, how it was steered, and whether that shows any skill."""
    if as_json:
        rows = [{"cycle": c, "attempt": a, **asdict(one)} for (c, a), one in steered.items()]
        told = {"run": run, **asdict(summary), "steering": rows, "skill": asdict(found)}
        print_json(told)
        return
    attempts = [{**asdict(one), "filled": one.filled} for one in summary.cycles]
    print_rows(app.out, attempts, CYCLES, "table")
    app.out.print(f"\nRun {run}: {sentence(summary)}")
    idle = idle_sentences(summary)
    for line in (*steering_sentences(steered), *idle, *conclusion_lines(found)):
        app.out.print(line)
    if summary.simulated:
        app.out.print("The bars were simulated: this says nothing about any market.")


def sentence(summary: RunSummary) -> str:
    """Return how many cycles and attempts ended how, and what the steps went into.

    A cycle whose last attempt diverged was rejected without coming before the gates.
    """
    last = {one.cycle: one for one in summary.cycles}.values()
    promoted = [one for one in last if one.verdict == "promoted"]
    judged = [one for one in last if one.verdict == "rejected" and not _diverged(one)]
    given_up = [one for one in last if one.verdict == "rejected" and _diverged(one)]
    diverged = [one for one in summary.cycles if _diverged(one)]
    parts = (
        f"{len(promoted)} of {_counted(len(last), 'cycle')} promoted",
        f"{len(judged)} rejected by gates",
        f"{len(given_up)} for diverging in every attempt" if given_up else "",
        f"{_counted(len(diverged), 'attempt')} rolled back for divergence",
    )
    return f"{', '.join(filter(None, parts))}; {_steps(summary)}."


def steering_sentences(steered: Steered) -> Iterator[str]:
    """Yield what the controller's actuators were worth, and where they were spent for long."""
    bonus = _span([one.bonus_ratio for one in steered.values()], "")
    reach = _span([one.margin_reach for one in steered.values()], "±")
    if bonus:
        yield f"Controller: a hold earned {bonus} standard deviations of the other reward terms."
    if reach:
        yield f"On validation bars its margin could move by {reach} logits."
    spent = [f"cycle {cycle} ({_spent(one)})" for (cycle, _), one in steered.items()
             if one.was_saturated]  # fmt: skip
    if spent:
        yield f"An actuator was at its limit for long in {', '.join(spent)}; it could do no more."


def idle_sentences(summary: RunSummary) -> Iterator[str]:
    """Yield in which cycles hardly a decision to trade on validation bars traded anything.

    An order beyond the limits, or at a bar without volume, is no hold and moves nothing: a rate
    that is on target can hide a policy that buys once and then asks for more.
    """
    judged = [one for one in summary.cycles if one.decisions and one.trades is not None]
    idle = [one for one in judged if not one.trades]
    seldom = [one for one in judged if one.filled and one.filled < SELDOM]
    if idle:
        yield (
            f"No order was filled on validation bars in {_numbers(idle)}: what was earned there "
            "is interest."
        )
    if seldom:
        yield (
            f"Fewer than one in ten decisions to trade on validation bars filled an order in "
            f"{_numbers(seldom)}: the others asked for more than the limits let, which is no hold."
        )


def _numbers(cycles: Sequence[CycleSummary]) -> str:
    """Return cycles in words."""
    numbers = ", ".join(str(one.cycle) for one in cycles)
    return f"cycle {numbers}" if len(cycles) == 1 else f"cycles {numbers}"


def _span(values: Iterable[float | None], sign: str) -> str:
    """Return the range of the known values in words."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    least, most = f"{sign}{min(known):.2f}", f"{sign}{max(known):.2f}"
    return least if least == most else f"{least} to {most}"


def _spent(one: Steering) -> str:
    """Return for how many decisions an actuator was at its limit."""
    shares = ((one.training_saturated, "training"), (one.saturated, "validation"))
    return ", ".join(f"{share:.0%} of {where}" for share, where in shares if share)


def _steps(summary: RunSummary) -> str:
    """Return the number of steps, and how many went into attempts that another one repeated."""
    last = {one.cycle: one.attempt for one in summary.cycles}
    again = _updates(one for one in summary.cycles if one.attempt != last[one.cycle])
    repeated = again * summary.steps // max(1, _updates(summary.cycles))
    said = f"{summary.steps:,} steps"
    return f"{said}, {repeated:,} of them repeated" if repeated else said


def _updates(attempts: Iterable[CycleSummary]) -> int:
    return sum(one.updates for one in attempts)


def _diverged(one: CycleSummary) -> bool:
    """Tell whether an attempt was rolled back before it came to be evaluated."""
    ended = one.verdict in ("rolled back", "rejected")
    return ended and one.training_hold_rate is None


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
