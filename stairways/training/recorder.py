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
from stairways.store.contract import Batch
from stairways.training.learner import Float32

BOOKS = ("interest", "borrow", "cash", "equity")
REWARD = ("reward", "log_return", "risk_free", "drawdown_penalty", "hold_bonus")
LANES = ("hold_rate", "target", "setpoint", "error", "regime", "fast", "slow", "bonus", "spread",
         "margin")  # fmt: skip
STEERING = ("hold_rate", "owed", "error", "regime", "fast", "slow", "margin")
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
) -> Batch:
    """Return a rollout as events: each step with its controller update, then the balances.

    Steps are numbered from ``steps_before + 1`` in the order time first, then lane.
    """
    steps, orders = _flat(lanes)
    lane = np.tile(np.arange(lanes.count), lanes.taken)
    number = steps_before + 1 + np.arange(len(steps))
    taken = codec.encode_columns(
        StepTaken,
        {
            **_acting(steps, orders, number, clock),
            **_columns(steps, REWARD),
            "lane": lane,
            "log_probability": log_probabilities.ravel(),
            "value": values.ravel(),
        },
    )
    steered = codec.encode_columns(ControllerUpdated, {**_columns(steps, LANES), "step": number})
    balances = _balances(steps, orders, lane, lanes.count)
    kinds = [*(StepTaken, ControllerUpdated) * len(taken), *(BalanceAsserted,) * len(balances)]
    pairs = (payload for pair in zip(taken, steered, strict=True) for payload in pair)
    return _batch(kinds, [*pairs, *balances])


def evaluation_events(lanes: Lanes, clock: Clock) -> Batch:
    """Return one pass through a window as events, one a step."""
    steps, orders = _flat(lanes)
    number = 1 + np.arange(len(steps))
    columns = {**_acting(steps, orders, number, clock), **_columns(steps, STEERING)}
    payloads = codec.encode_columns(EvaluationStepTaken, columns)
    return _batch([EvaluationStepTaken] * len(payloads), payloads)


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
) -> list[bytes]:
    """Return the books of each lane where its episode or the rollout ends."""
    ends = steps["terminated"] | steps["truncated"]
    ends[-count:] = True
    return codec.encode_columns(
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


def _batch(kinds: Sequence[type], payloads: Sequence[bytes]) -> Batch:
    types, schemas = zip(*map(codec.type_of, kinds), strict=True)
    return Batch(types, schemas, payloads)


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1e6, tz=UTC)
