"""Events of a run: it began, acted, learned, diverged and ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from stairways.core.values import Digest, Micros, Position, Shares


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A run of the stairway began; everything that decides its outcome is named here."""

    model: str
    seed: int
    data: Digest
    features: Digest
    simulated: bool
    settings: Mapping[str, str]  # dotted name to its value as text
    settings_digest: Digest
    code_version: str
    code_digest: Digest
    libraries: Mapping[str, str]
    machine: Mapping[str, str]  # CPU, instruction sets, threads, operating system
    windows: Mapping[str, tuple[int, int]]  # train, calibrate, validate: [first, last) bar
    warm_start: Digest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed:
    """A run that had stopped went on from the last state that is in the log."""

    state: Digest | None
    position: Position  # of the event that named the state
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """Every cycle of the run has its verdict."""

    cycles: int
    promoted: int
    steps: int
    parameters: Digest  # of the model served at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed:
    """The run stopped for a reason that another try would meet again."""

    reason: str
    cycle: int
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStopped:
    """Training stopped between two rollouts because it was told to, and can go on."""

    reason: str
    cycle: int
    steps: int  # environment steps learned from so far


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleStarted:
    """An attempt at a cycle began from the parameters ``parent``."""

    cycle: int
    name: str
    attempt: int
    target: float
    learning_rate: float
    parent: Digest
    state: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleFinished:
    """All environment steps of an attempt were taken and learned from."""

    cycle: int
    attempt: int
    steps: int
    hold_rate: float  # of all training decisions of the attempt
    last_third_hold_rate: float  # of the last third of its updates, rounded down: of 10 the last 3
    parameters: Digest
    state: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTaken:
    """The policy acted on one bar, and the account stands like this afterwards.

    Decided on the close of ``bar``, filled at ``prices``. The reward is what the learner
    saw, in basis points of equity. Nothing about money is derived from it.
    """

    step: int  # environment steps of the run so far, over all lanes; this one included
    lane: int
    bar: int  # row of the registered bars
    bar_time: datetime
    action: int  # base-3 digits, first symbol highest: 0 sell, 1 hold, 2 buy
    log_probability: float
    value: float
    shares: tuple[Shares, ...]  # bought; negative when sold
    prices: tuple[Micros, ...]  # at which an order was, or would have been, filled
    costs: tuple[Micros, ...]
    clipped: tuple[bool, ...]  # the order met a limit and was cut
    interest: Micros
    borrow: Micros
    cash: Micros
    positions: tuple[Shares, ...]
    lots: tuple[int, ...]
    equity: Micros
    reward: float
    log_return: float
    risk_free: float
    drawdown_penalty: float
    hold_bonus: float
    terminated: bool
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerUpdated:
    """The controller saw one decision and set what the next one earns for holding."""

    step: int
    hold_rate: float
    target: float
    setpoint: float  # the hold rate steered to: the target, a guard inside the allowed range
    error: float  # from the setpoint
    regime: float
    fast: float
    slow: float
    bonus: float  # basis points that holding earns at the next step
    spread: float  # running standard deviation of the other reward terms
    margin: float  # added to the logit of hold when this decision was made


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceAsserted:
    """The books of one lane, stated in full, at the end of a rollout or an episode."""

    lane: int
    bar: int
    cash: Micros
    positions: tuple[Shares, ...]
    equity: Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyUpdated:
    """The policy learned from the rollout before; a ``state`` can continue from here."""

    cycle: int
    attempt: int
    update: int
    steps: int
    policy_loss: float
    value_loss: float
    entropy: float
    approximate_kl: float
    clip_fraction: float
    explained_variance: float
    gradient_norm: float
    hold_rate: float  # of the rollout it learned from
    bonus_ratio: float | None  # mean hold bonus in it, in spreads of the other reward terms
    margin_reach: float | None  # logits by which the controller could move its margin either way
    saturated: float | None  # share of its decisions with an actuator at its limit
    divergence: float
    reference: Digest | None
    parameters: Digest
    state: Digest | None  # of every k-th update and of the last of an attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class DivergenceDetected:
    """The parameters moved further from the last promoted ones than allowed."""

    cycle: int
    attempt: int
    update: int
    divergence: float
    limit: float
    reference: Digest
