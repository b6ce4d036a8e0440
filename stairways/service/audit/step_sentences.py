"""The many events of steps in words: what was decided, filled and booked, and how it is steered."""

from datetime import datetime, time
from decimal import Decimal

from stairways.core import events as e
from stairways.core.values import MICROS_PER_DOLLAR, Micros
from stairways.service.audit.asking import action_words

OfStep = e.StepTaken | e.EvaluationStepTaken | e.ControllerUpdated | e.BalanceAsserted
"""Events of which there are thousands in a run."""


def of_step(event: OfStep) -> str:
    """Return what one of the many events says, money in dollars to the cent."""
    match event:
        case e.StepTaken():
            return (
                f"step {event.step:,} lane {event.lane}, {_decided(event)}, "
                f"reward {event.reward:+.1f} bp"
            )
        case e.EvaluationStepTaken():
            return (
                f"validation step {event.step:,}, {_decided(event)}, hold rate "
                f"{event.hold_rate:.1%}, margin {event.margin:.3g}"
            )
        case e.ControllerUpdated():
            return (
                f"step {event.step:,}: hold rate {event.hold_rate:.1%} against {event.target:.1%}, "
                f"fast {event.fast:+.3f}, slow {event.slow:+.3f}, bonus {event.bonus:.1f} bp, "
                f"margin {event.margin:.3g}"
            )
        case e.BalanceAsserted():
            return (
                f"books of lane {event.lane} at bar {event.bar}: cash {_dollars(event.cash)}, "
                f"shares {_counts(event.positions)}, equity {_dollars(event.equity)}"
            )


def _decided(event: e.StepTaken | e.EvaluationStepTaken) -> str:
    """Return what was ordered at which bar, what was filled, and the equity afterwards."""
    orders = ", ".join(action_words(event.action, len(event.shares)))
    filled = f", filled {_counts(event.shares)}" if any(event.shares) else ""
    return (
        f"bar {event.bar} ({_when(event.bar_time)}): {orders}{filled}, "
        f"equity {_dollars(event.equity)}"
    )


def _when(bar: datetime) -> str:
    """Return the time of a bar; the day alone where it is of a day."""
    return f"{bar:%Y-%m-%d}" if bar.time() == time() else f"{bar:%Y-%m-%d %H:%M}"


def _counts(shares: tuple[int, ...]) -> str:
    return " / ".join(f"{count:,}" for count in shares)


def _dollars(amount: Micros) -> str:
    return f"{Decimal(amount) / MICROS_PER_DOLLAR:,.2f}"
