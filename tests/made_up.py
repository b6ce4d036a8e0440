"""A made-up run with every kind of event of a run in it, and its way into a log.

Two cycles: the first is promoted, the second diverges, is rolled back, and is rejected.
Its numbers are arbitrary but exact, so that every projection of it can be told in advance.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from stairways import codec
from stairways.core import events as e
from stairways.core.values import Digest, Micros, Position, Shares, StreamName, digest_of
from stairways.store.contract import Context, Encoded, EventStore

Append = tuple[StreamName, Sequence[e.Event]]

MODEL = "pair"
LANES = 2
ROLLOUT = 100  # environment steps, over both lanes
ROLLOUTS = 3
STEPS = ROLLOUT * ROLLOUTS
VALIDATION_BARS = 40
CAPITAL = Micros(100_000_000_000)
START = datetime(2020, 1, 1, tzinfo=UTC)
DATA = digest_of(b"bars")


def digest(*parts: object) -> Digest:
    return digest_of(repr(parts).encode())


def registration() -> Append:
    """The registration of the bars that the run uses."""
    registered = e.DataRegistered(
        digest=DATA,
        name="AAPL+MSFT",
        symbols=("AAPL", "MSFT"),
        frequency="1d",
        adjustment="splits",
        timezone="America/New_York",
        calendar="XNYS",
        simulated=False,
        first=START,
        last=START + timedelta(days=2_000),
        rows=2_000,
        dropped={"AAPL": 0, "MSFT": 3},
        sources={"AAPL.csv": digest("AAPL"), "MSFT.csv": digest("MSFT")},
        findings=1,
    )
    found = e.DataFindingRaised(
        kind="gap", symbol="MSFT", row=7, time=START, detail="session 2020-01-09 is missing"
    )
    return StreamName(f"data-{DATA}"), [registered, found]


def appends(run: str) -> Iterator[Append]:
    """Every append of the run, in order."""
    stream, model = StreamName(f"run-{run}"), StreamName(f"model-{MODEL}")
    yield stream, [started()]
    yield from training(stream, cycle=1, attempt=1, target=0.75, divergence=0.0, first=0)
    yield from validation(stream, cycle=1, attempt=1, target=0.75)
    yield model, gates(run, cycle=1, attempt=1, passed=True)
    yield model, [verdict(run, cycle=1, attempt=1, promoted=True), promotion(run, cycle=1)]
    yield from training(stream, cycle=2, attempt=1, target=0.7, divergence=0.2, first=STEPS)
    yield stream, [divergence(cycle=2, attempt=1)]
    yield model, [rollback(run, cycle=2, attempt=1)]
    yield from training(stream, cycle=2, attempt=2, target=0.7, divergence=0.1, first=2 * STEPS)
    yield from validation(stream, cycle=2, attempt=2, target=0.7)
    yield model, gates(run, cycle=2, attempt=2, passed=False)
    yield model, [verdict(run, cycle=2, attempt=2, promoted=False)]
    yield model, [rollback(run, cycle=2, attempt=2)]
    yield stream, [e.RunFinished(cycles=2, promoted=1, steps=3 * STEPS, parameters=digest("p", 1))]


def events(run: str) -> list[e.Event]:
    """Every event of the run, in order."""
    return [event for _, made in appends(run) for event in made]


def write(store: EventStore, made: Iterator[Append] | Sequence[Append], run: str) -> None:
    """Append everything to a log."""
    for number, (stream, several) in enumerate(made):
        encoded = [Encoded(*codec.type_of(event), codec.encode(event)) for event in several]
        context = Context(actor="ann@desk", correlation=run, append_id=f"{run}-{number}")
        store.append(stream, None, encoded, context)


def started() -> e.RunStarted:
    return e.RunStarted(
        model=MODEL,
        seed=7,
        data=DATA,
        features=digest("features"),
        simulated=False,
        settings={"ppo.lanes": "2"},
        settings_digest=digest("settings"),
        code_version="0.1.0",
        code_digest=digest("code"),
        libraries={"torch": "2.13.0"},
        machine={"cpu": "made up"},
        windows={"train": (50, 1000), "calibrate": (1020, 1200), "validate": (1220, 2000)},
        warm_start=None,
    )


def training(
    stream: StreamName, *, cycle: int, attempt: int, target: float, divergence: float, first: int
) -> Iterator[Append]:
    begun = e.CycleStarted(
        cycle=cycle,
        name=f"cycle_{cycle:02d}_hold_{target * 100:.0f}%",
        attempt=attempt,
        target=target,
        learning_rate=3e-4,
        parent=digest("p", cycle - 1),
        state=digest("s", cycle - 1),
    )
    yield stream, [begun]
    for rollout in range(ROLLOUTS):
        steps = range(first + rollout * ROLLOUT + 1, first + (rollout + 1) * ROLLOUT + 1)
        pairs = [(step(number), controller(number, target)) for number in steps]
        balances = [balance(steps[-1], lane) for lane in range(LANES)]
        yield stream, [*(event for pair in pairs for event in pair), *balances]
        yield stream, [update(cycle, attempt, rollout + 1, steps[-1], divergence)]
    if divergence > 0.15:
        return
    finished = e.CycleFinished(
        cycle=cycle,
        attempt=attempt,
        steps=STEPS,
        hold_rate=target - 0.05,
        last_third_hold_rate=target,
        parameters=digest("p", cycle),
        state=digest("s", cycle),
    )
    yield stream, [finished]


def step(number: int) -> e.StepTaken:
    return e.StepTaken(
        step=number,
        lane=number % LANES,
        bar=50 + number // LANES,
        bar_time=START + timedelta(days=50 + number // LANES),
        action=4,
        log_probability=-0.5,
        value=0.25,
        shares=(Shares(0), Shares(0)),
        prices=(Micros(100_000_000), Micros(50_000_000)),
        costs=(Micros(0), Micros(0)),
        clipped=(False, False),
        interest=Micros(number),
        borrow=Micros(0),
        cash=Micros(CAPITAL + number),
        positions=(Shares(0), Shares(0)),
        lots=(0, 0),
        equity=Micros(CAPITAL + number),
        reward=1.5,
        log_return=0.5,
        risk_free=0.1,
        drawdown_penalty=0.0,
        hold_bonus=1.1,
        terminated=False,
        truncated=False,
    )


def controller(number: int, target: float) -> e.ControllerUpdated:
    return e.ControllerUpdated(
        step=number,
        hold_rate=1 / (1 + number),
        target=target,
        setpoint=target,
        error=0.1,
        regime=-0.2,
        fast=0.025,
        slow=0.05,
        bonus=1.1,
        spread=1.0,
        margin=0.3,
    )


def balance(number: int, lane: int) -> e.BalanceAsserted:
    return e.BalanceAsserted(
        lane=lane,
        bar=50 + number // LANES,
        cash=Micros(CAPITAL + number),
        positions=(Shares(0), Shares(0)),
        equity=Micros(CAPITAL + number),
    )


def update(cycle: int, attempt: int, number: int, steps: int, divergence: float) -> e.PolicyUpdated:
    return e.PolicyUpdated(
        cycle=cycle,
        attempt=attempt,
        update=number,
        steps=steps,
        policy_loss=-0.01,
        value_loss=0.5,
        entropy=2.0,
        approximate_kl=0.01,
        clip_fraction=0.1,
        explained_variance=0.2,
        gradient_norm=0.4,
        hold_rate=0.7,
        bonus_ratio=1.1,
        margin_reach=1.5,
        saturated=0.0,
        divergence=divergence if number == ROLLOUTS else 0.01,
        reference=None,
        parameters=digest("p", cycle, attempt, number),
        state=digest("s", cycle, attempt, number),
    )


def validation(stream: StreamName, *, cycle: int, attempt: int, target: float) -> Iterator[Append]:
    begun = e.EvaluationStarted(
        cycle=cycle,
        attempt=attempt,
        parameters=digest("p", cycle),
        first_bar=1220,
        last_bar=1220 + VALIDATION_BARS,
        target=target,
        setpoint=target,
        base_margin=0.2,
        margin_spread=0.5,
        authority=1.0,
        margin_reach=0.375,
    )
    steps = [validation_step(number) for number in range(1, VALIDATION_BARS + 1)]
    finished = e.EvaluationFinished(
        cycle=cycle,
        attempt=attempt,
        decisions=VALIDATION_BARS,
        holds=30,
        hold_rate=0.75,
        effectiveness=1 - abs(0.75 - target) / 0.35,
        performance=0.9,
        start_equity=CAPITAL,
        final_equity=Micros(CAPITAL - 2_500_000_000),
        profit=-0.025,
        drawdown=0.04,
        trades=10,
        win_rate=0.4,
        trades_per_day=0.25,
        sharpe=-0.3,
        saturated=0.0,
        evidence=(Position(1), Position(2)),
    )
    yield stream, [begun, *steps, finished]


def validation_step(number: int) -> e.EvaluationStepTaken:
    return e.EvaluationStepTaken(
        step=number,
        bar=1219 + number,
        bar_time=START + timedelta(days=1219 + number),
        action=4,
        shares=(Shares(0), Shares(0)),
        prices=(Micros(100_000_000), Micros(50_000_000)),
        costs=(Micros(0), Micros(0)),
        clipped=(False, False),
        interest=Micros(0),
        borrow=Micros(0),
        cash=CAPITAL,
        positions=(Shares(0), Shares(0)),
        lots=(0, 0),
        equity=Micros(CAPITAL - number),
        terminated=False,
        truncated=number == VALIDATION_BARS,
        hold_rate=0.5,
        owed=0.2,
        error=0.2,
        regime=0.0,
        fast=0.05,
        slow=-0.1,
        margin=0.1 + number / 1000,
    )


def gates(run: str, *, cycle: int, attempt: int, passed: bool) -> list[e.Event]:
    def gate(name: str, value: float, threshold: float, *, good: bool) -> e.GateDecided:
        return e.GateDecided(
            run=run,
            cycle=cycle,
            attempt=attempt,
            gate=name,
            value=value,
            threshold=threshold,
            passed=good,
            blocking=True,
            reason=f"{name} is {value}",
            evidence=(Position(3), Position(4)),
        )

    return [
        gate("hold_rate", 0.01, 0.03, good=True),
        gate("drawdown", 0.04 if passed else 0.3, 0.2, good=passed),
    ]


def verdict(run: str, *, cycle: int, attempt: int, promoted: bool) -> e.CycleVerdict:
    return e.CycleVerdict(
        run=run,
        cycle=cycle,
        attempt=attempt,
        promoted=promoted,
        failed=() if promoted else ("drawdown",),
        reason="all gates passed" if promoted else "drawdown 30.0 % is above 20.0 %",
        evidence=(Position(5), Position(6)),
    )


def promotion(run: str, *, cycle: int) -> e.ModelPromoted:
    return e.ModelPromoted(
        run=run,
        cycle=cycle,
        parameters=digest("p", cycle),
        state=digest("s", cycle),
        base_margin=0.2,
        margin_spread=0.5,
        profit=-0.025,
        verdict=Position(7),
    )


def divergence(*, cycle: int, attempt: int) -> e.DivergenceDetected:
    return e.DivergenceDetected(
        cycle=cycle,
        attempt=attempt,
        update=ROLLOUTS,
        divergence=0.2,
        limit=0.15,
        reference=digest("p", cycle - 1),
    )


def rollback(run: str, *, cycle: int, attempt: int) -> e.ModelRolledBack:
    return e.ModelRolledBack(
        run=run,
        cycle=cycle,
        attempt=attempt,
        reason="divergence 0.2 is above 0.15",
        parameters=digest("p", cycle - 1),
        state=digest("s", cycle - 1),
        learning_rate=1.5e-4,
        evidence=(Position(8),),
    )
