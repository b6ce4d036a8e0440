"""Events about candidates: they were evaluated, judged, promoted, rejected and rolled back."""

from dataclasses import dataclass
from datetime import datetime

from stairways.core.values import Digest, Micros, Position, Shares


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationStarted:
    """A candidate began to act on bars it was not trained on, without chance."""

    cycle: int
    attempt: int
    parameters: Digest
    first_bar: int
    last_bar: int
    target: float
    base_margin: float
    margin_spread: float
    authority: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationStepTaken:
    """The candidate decided on one validation bar; its account and controller afterwards."""

    step: int
    bar: int
    bar_time: datetime
    action: int
    shares: tuple[Shares, ...]
    prices: tuple[Micros, ...]
    costs: tuple[Micros, ...]
    clipped: tuple[bool, ...]
    interest: Micros
    borrow: Micros
    cash: Micros
    positions: tuple[Shares, ...]
    lots: tuple[int, ...]
    equity: Micros
    terminated: bool
    truncated: bool
    hold_rate: float
    error: float
    regime: float
    fast: float
    slow: float
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationFinished:
    """What the ledger says of a candidate on the validation bars."""

    cycle: int
    attempt: int
    decisions: int
    holds: int
    hold_rate: float
    effectiveness: float
    performance: float
    start_equity: Micros
    final_equity: Micros
    profit: float  # share of starting capital
    drawdown: float
    trades: int
    win_rate: float
    trades_per_day: float
    sharpe: float
    evidence: tuple[Position, Position]  # first and last EvaluationStepTaken


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecided:
    """One gate measured one thing and passed it or not."""

    run: str
    cycle: int
    attempt: int
    gate: str
    value: float
    threshold: float
    passed: bool
    blocking: bool
    reason: str
    evidence: tuple[Position, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleVerdict:
    """All gates of a cycle have spoken."""

    run: str
    cycle: int
    attempt: int
    promoted: bool
    failed: tuple[str, ...]
    reason: str
    evidence: tuple[Position, ...]  # of the gate decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPromoted:
    """A candidate became the model that is served and the reference for divergence."""

    run: str
    cycle: int
    parameters: Digest
    state: Digest
    base_margin: float
    margin_spread: float
    profit: float
    verdict: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRolledBack:
    """Parameters, optimiser and random states are those of ``state`` again."""

    run: str
    cycle: int
    attempt: int
    reason: str
    parameters: Digest
    state: Digest
    learning_rate: float  # of the next attempt
    evidence: tuple[Position, ...]
    by: str = ""  # the operator who ordered it, or whose order a run followed; empty if none
    base_margin: float = 0.0  # m0 of the model returned to, where an operator ordered it
    margin_spread: float = 0.0
    profit: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOverridden:
    """A person promoted or rejected against the gates, and says why."""

    run: str
    cycle: int
    who: str
    why: str
    promoted: bool
    verdict: Position
