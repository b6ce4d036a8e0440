"""Arrays of a rollout in, encoded events out: nothing here happens once a step."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from stairways import codec
from stairways.codec import Column
from stairways.core.events import (
    BalanceAsserted,
    ControllerUpdated,
    EvaluationStepTaken,
    StepTaken,
)
from stairways.env.lanes import Lanes
from stairways.env.records import Records
from stairways.store.contract import Encoded
from stairways.training.learner import Float32

BOOKS = ("interest", "borrow", "cash", "equity")
REWARD = ("reward", "log_return", "risk_free", "drawdown_penalty", "hold_bonus")
LANES = ("hold_rate", "target", "error", "regime", "fast", "slow", "bonus", "spread", "margin")
STEERING = ("hold_rate", "error", "regime", "fast", "slow", "margin")
ORDERS = {
    "shares": "shares",
    "prices": "price",
    "costs": "cost",
    "clipped": "clipped",
    "positions": "position",
    "lots": "lots",
}
"""Field of the event to column of the trace."""


class Clock:
    """The text of every bar's time, made once for a run."""

    def __init__(self, times: npt.NDArray[np.int64]) -> None:
        self._texts = [codec.time_text(_moment(t)) for t in (times // 1_000).tolist()]

    def __call__(self, rows: npt.NDArray[np.int64]) -> list[str]:
        """Return the text of the time of each of ``rows``."""
        return [self._texts[row] for row in rows.tolist()]


def rollout_events(
    lanes: Lanes, clock: Clock, steps_before: int, log_probabilities: Float32, values: Float32
) -> list[Encoded]:
    """Return a rollout as events: each step with its controller update, then the balances.

    Steps are numbered from ``steps_before + 1`` in the order time first, then lane.
    """
    steps, orders = _flat(lanes)
    lane = np.tile(np.arange(lanes.count), lanes.taken)
    number = steps_before + 1 + np.arange(len(steps))
    taken = _encoded(
        StepTaken,
        {
            **_acting(steps, orders, number, clock),
            **_columns(steps, REWARD),
            "lane": lane,
            "log_probability": log_probabilities.ravel(),
            "value": values.ravel(),
        },
    )
    steered = _encoded(ControllerUpdated, {**_columns(steps, LANES), "step": number})
    pairs = [event for pair in zip(taken, steered, strict=True) for event in pair]
    return [*pairs, *_balances(steps, orders, lane, lanes.count)]


def evaluation_events(lanes: Lanes, clock: Clock) -> list[Encoded]:
    """Return one pass through a window as events, one a step."""
    steps, orders = _flat(lanes)
    number = 1 + np.arange(len(steps))
    columns = {**_acting(steps, orders, number, clock), **_columns(steps, STEERING)}
    return _encoded(EvaluationStepTaken, columns)


def _acting(
    steps: Records, orders: Records, number: npt.NDArray[np.int64], clock: Clock
) -> dict[str, Column]:
    """Return the columns that training and evaluation steps share."""
    return {
        "step": number,
        "bar": steps["row"],
        "bar_time": clock(steps["row"]),
        "action": steps["action"],
        "terminated": steps["terminated"],
        "truncated": steps["truncated"],
        **{field: orders[column] for field, column in ORDERS.items()},
        **_columns(steps, BOOKS),
    }


def _balances(
    steps: Records, orders: Records, lane: npt.NDArray[np.int64], count: int
) -> list[Encoded]:
    """Return the books of each lane where its episode or the rollout ends."""
    ends = steps["terminated"] | steps["truncated"]
    ends[-count:] = True
    return _encoded(
        BalanceAsserted,
        {
            "lane": lane[ends],
            "bar": steps["row"][ends] + 1,
            "cash": steps["cash"][ends],
            "positions": orders["position"][ends],
            "equity": steps["equity"][ends],
        },
    )


def _flat(lanes: Lanes) -> tuple[Records, Records]:
    """Return the steps taken as ``(n,)`` and their orders as ``(n, N)``, time first."""
    steps = lanes.trace.steps[: lanes.taken]
    orders = lanes.trace.orders[: lanes.taken]
    return steps.reshape(-1), orders.reshape(-1, orders.shape[-1])


def _columns(steps: Records, names: Sequence[str]) -> dict[str, Column]:
    return {name: steps[name] for name in names}


def _encoded(event_type: type, columns: dict[str, Column]) -> list[Encoded]:
    name, schema = codec.type_of(event_type)
    return [Encoded(name, schema, row) for row in codec.encode_columns(event_type, columns)]


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1e6, tz=UTC)
