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
    setpoint: float  # the hold rate steered to: the target, a guard inside the allowed range
    base_margin: float
    margin_spread: float
    authority: float
    margin_reach: float | None  # logits by which the controller can move the margin either way


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
    owed: float  # holds by which all decisions so far stay behind the setpoint
    error: float  # from the setpoint with what is owed made up
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
    saturated: float | None  # share of decisions with an actuator at its limit
    evidence: tuple[Position, Position]  # first and last EvaluationStepTaken


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldTestStarted:
    """The model a fold of a walk-forward serves began to act on the bars kept back for it."""

    cycle: int  # that promoted it
    parameters: Digest
    first_bar: int
    last_bar: int
    target: float
    setpoint: float  # the hold rate steered to: the target, a guard inside the allowed range
    base_margin: float
    margin_spread: float
    authority: float
    margin_reach: float | None  # logits by which the controller can move the margin either way


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldTestFinished:
    """What the ledger says of a served model on bars that nothing in its run has seen."""

    cycle: int
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
    saturated: float | None  # share of decisions with an actuator at its limit
    evidence: tuple[Position, Position]  # first and last EvaluationStepTaken


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselinesMeasured:
    """What simple strategies would have earned on the candidate's bars, at the same costs.

    Profits are shares of the starting capital.
    """

    cycle: int
    attempt: int  # 0 on the test window
    window: str  # of the bars: validate, or test in walk-forward
    buy_and_hold: float  # as many lots of each symbol as the limit lets, kept to the end
    always_hold: float  # cash, which earns the risk-free rate
    random: tuple[float, ...]  # of policies that hold as often as the candidate, ascending
    evidence: tuple[Position, Position]  # first and last step of the candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillMeasured:
    """What a candidate's result is worth against chance, simple strategies and many tries.

    Three numbers are the lower bound of an interval, the figure, and the upper bound.
    """

    cycle: int
    attempt: int  # 0 on the test window
    window: str  # of the bars: validate, or test in walk-forward
    data: Digest
    first_bar: int
    last_bar: int
    returns: int  # how many, one a bar
    a_year: float  # bars that make a year
    block: int  # bars that the bootstrap keeps together
    sharpe: tuple[float, float, float]  # annualised, above the risk-free rate
    profit: tuple[float, float, float]  # share of the starting capital
    over_buy_and_hold: tuple[float, float, float]  # return above it, a year
    over_always_hold: tuple[float, float, float]  # return above it, a year
    over_random: tuple[float, float, float]  # return above the mean of the random policies, a year
    beaten: float  # share of the random policies that earned less, the candidate being one more
    skewness: float  # of the returns above the risk-free rate; 0 for the normal law
    kurtosis: float  # 3 for the normal law
    trials: int  # models evaluated on some of these bars so far, this one included
    trial_spread: float  # standard deviation of their Sharpe ratios, or what chance gives alone
    best_by_chance: float  # Sharpe ratio to expect of the best of so many without skill
    probabilistic_sharpe: float  # probability that the true ratio is above 0
    deflated_sharpe: float  # probability that the true ratio is above the best by chance
    skill: bool  # the figures are evidence of skill
    reason: str
    evidence: tuple[Position, ...]  # the evaluation and the baselines


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
