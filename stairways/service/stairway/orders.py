"""What an operator orders about a model, and how a run in training follows.

An order is an event in the model's stream under the correlation ``OPERATOR``. A run follows
the newest one at its next cycle boundary: it returns to the ordered parameters, optimiser and
random states, and measures divergence from them. It looks only at orders that stand before
its own last event, so that executing the run again follows the same orders at the same place.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from stairways.core import events as e
from stairways.core.progress import Progress
from stairways.core.values import Digest, Position, StreamName
from stairways.errors import ModelRefusedError, NoSuchEventError, TrainingFailedError
from stairways.service.operation.halt import refuse_when_halted
from stairways.service.runs import run_stream
from stairways.service.stairway.climb import Climber
from stairways.service.stairway.journal import MODEL_STREAM, decoded, encoded
from stairways.store.contract import Appended, Context, EventStore
from stairways.training import state as states
from stairways.training.export import parameters_of

OPERATOR = "operator"
"""The correlation of every append that an operator orders."""

SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An operator's word about what a model serves."""

    position: Position
    who: str
    reason: str
    run: str  # that made the model
    cycle: int
    parameters: Digest
    state: Digest
    base_margin: float
    margin_spread: float
    profit: float


def roll_back(
    store: EventStore, model: str, to: str, *, reason: str, who: str, context: Context
) -> e.ModelRolledBack:
    """Put an earlier model back into service and return the event that says so.

    ``to`` is the digest, or the beginning of one, of parameters promoted under ``model``.
    Raises ``ModelRefusedError`` for any other.
    """
    _check_words(who, reason)
    place, promoted = _promotion(store, model, to)
    back = _rolled_back(promoted, place, reason, who)
    store.append(_stream(model), None, encoded([back]), context)
    return back


def override(
    store: EventStore,
    model: str,
    run: str,
    cycle: int,
    *,
    promote: bool,
    who: str,
    why: str,
    context: Context,
) -> Appended:
    """Record a decision against the gates, and the promotion or rollback it implies.

    Raises ``NoSuchEventError`` without a verdict, ``ModelRefusedError`` if the verdict says the
    same, or if nothing is there to be promoted or returned to, and ``HaltedError`` for a
    promotion while all serving is halted.
    """
    _check_words(who, why)
    if promote:
        refuse_when_halted(store)
    place, verdict = _verdict(store, model, run, cycle)
    if verdict.promoted == promote:
        said = "promoted" if promote else "rejected"
        raise ModelRefusedError(f"Cycle {cycle} of run {run} is {said} already.")
    overridden = e.GateOverridden(
        run=run, cycle=cycle, who=who, why=why, promoted=promote, verdict=place
    )
    implied = (
        _promoted(store, run, cycle, place) if promote else _withdrawn(store, model, overridden)
    )
    return store.append(_stream(model), None, encoded([overridden, implied]), context)


def follow_order(climber: Climber) -> None:
    """Take over what an operator ordered since the run last looked; at a cycle boundary only."""
    order = _newest(climber)
    if order is None:
        return
    content = climber.stored(order.state)
    own = states.parameter_arrays(climber.learner)
    found = parameters_of(content)
    if {n: a.shape for n, a in own.items()} != {n: a.shape for n, a in found.items()}:
        raise TrainingFailedError(
            f"{order.who} ordered a model of another shape (position {order.position}); "
            "start a new run for it."
        )
    states.restore(content, climber.learner)
    climber.reference = climber.learner.parameters()
    climber.note(climber.model_stream, _followed(order, climber))


def orders(store: EventStore, model: str, after: Position, before: Position) -> Iterator[Order]:
    """Yield the orders about a model that stand between two positions, in order."""
    who, why = "", ""
    for record in store.read(stream=_stream(model), after=after, until=Position(before - 1)):
        if record.correlation != OPERATOR:
            continue
        match decoded(record):
            case e.GateOverridden() as overridden:
                who, why = overridden.who, overridden.why
            case e.ModelPromoted() as promoted:
                yield _order(record.position, who, why, promoted)
            case e.ModelRolledBack() as back:
                yield _order(record.position, back.by, back.reason, back)
            case _:
                continue


def _newest(climber: Climber) -> Order | None:
    """Return the last order since the run began that it has not followed yet."""
    store = climber.journal.store
    (begun,) = (r.position for r in store.read(stream=climber.run_stream, limit=1))
    after = max(begun, climber.progress.order)
    known = orders(store, climber.plan.model, after, climber.latest)
    return max(known, key=_place, default=None)


def _followed(order: Order, climber: Climber) -> e.ModelRolledBack:
    progress: Progress = climber.progress
    return e.ModelRolledBack(
        run=climber.run,
        cycle=progress.cycle,
        attempt=progress.attempt,
        reason=order.reason,
        parameters=order.parameters,
        state=order.state,
        learning_rate=0.0,
        evidence=(order.position,),
        by=order.who,
        base_margin=order.base_margin,
        margin_spread=order.margin_spread,
        profit=order.profit,
    )


def _order(
    position: Position, who: str, reason: str, event: e.ModelPromoted | e.ModelRolledBack
) -> Order:
    return Order(
        position=position,
        who=who,
        reason=reason,
        run=event.run,
        cycle=event.cycle,
        parameters=event.parameters,
        state=event.state,
        base_margin=event.base_margin,
        margin_spread=event.margin_spread,
        profit=event.profit,
    )


def _rolled_back(
    promoted: e.ModelPromoted, place: Position, reason: str, who: str
) -> e.ModelRolledBack:
    return e.ModelRolledBack(
        run=promoted.run,
        cycle=promoted.cycle,
        attempt=0,
        reason=reason,
        parameters=promoted.parameters,
        state=promoted.state,
        learning_rate=0.0,
        evidence=(place,),
        by=who,
        base_margin=promoted.base_margin,
        margin_spread=promoted.margin_spread,
        profit=promoted.profit,
    )


def _promotion(store: EventStore, model: str, to: str) -> tuple[Position, e.ModelPromoted]:
    """Return the last promotion under ``model`` of the parameters that ``to`` begins."""
    known = list(_promotions(store, model))
    if not known:
        raise ModelRefusedError(f"The log knows no promoted model {model}.")
    found = [(place, event) for place, event in known if event.parameters.startswith(to)]
    if not to or len({event.parameters for _, event in found}) != 1:
        newest = ", ".join(event.parameters[:12] for _, event in known[: -SHOWN - 1 : -1])
        raise ModelRefusedError(
            f"{to or 'Nothing'} is not the digest of one model promoted as {model}; the newest "
            f"are {newest}."
        )
    return found[-1]


def _promotions(store: EventStore, model: str) -> Iterator[tuple[Position, e.ModelPromoted]]:
    for record in store.read(stream=_stream(model), types=("ModelPromoted",)):
        event = decoded(record)
        if isinstance(event, e.ModelPromoted):
            yield record.position, event


def _verdict(
    store: EventStore, model: str, run: str, cycle: int
) -> tuple[Position, e.CycleVerdict | e.GateOverridden]:
    """Return the last word on a cycle, the gates' or an operator's."""
    found: tuple[Position, e.CycleVerdict | e.GateOverridden] | None = None
    for record in store.read(stream=_stream(model), types=("CycleVerdict", "GateOverridden")):
        event = decoded(record)
        if isinstance(event, e.CycleVerdict | e.GateOverridden) and (event.run, event.cycle) == (
            run,
            cycle,
        ):
            found = record.position, event
    if found is None:
        raise NoSuchEventError(f"Cycle {cycle} of run {run} has no verdict to override.")
    return found


def _promoted(store: EventStore, run: str, cycle: int, verdict: Position) -> e.ModelPromoted:
    """Return the promotion of the last candidate of a cycle that the gates rejected."""
    types = ("CycleFinished", "EvaluationStarted", "EvaluationFinished")
    last: dict[str, e.Event] = {}
    for record in store.read(stream=run_stream(run), types=types):
        event = decoded(record)
        if getattr(event, "cycle", None) == cycle:
            last[record.type] = event
    match [last.get(kind) for kind in types]:
        case [
            e.CycleFinished() as done,
            e.EvaluationStarted() as began,
            e.EvaluationFinished() as end,
        ]:
            return e.ModelPromoted(
                run=run,
                cycle=cycle,
                parameters=done.parameters,
                state=done.state,
                base_margin=began.base_margin,
                margin_spread=began.margin_spread,
                profit=end.profit,
                verdict=verdict,
            )
        case _:
            raise ModelRefusedError(f"No attempt at cycle {cycle} of run {run} was evaluated.")


def _withdrawn(store: EventStore, model: str, word: e.GateOverridden) -> e.ModelRolledBack:
    """Return the rollback to what was promoted before a cycle that is now rejected."""
    earlier: list[tuple[Position, e.ModelPromoted]] = []
    for place, event in _promotions(store, model):
        if (event.run, event.cycle) == (word.run, word.cycle):
            break
        earlier.append((place, event))
    if not earlier:
        raise ModelRefusedError(
            f"Nothing was promoted as {model} before cycle {word.cycle} of run {word.run}; "
            "there is no model to return to."
        )
    place, before = earlier[-1]
    return _rolled_back(before, place, word.why, word.who)


def _check_words(who: str, reason: str) -> None:
    if not who.strip() or not reason.strip():
        raise ModelRefusedError("A name and a reason are needed; neither may be empty.")


def _stream(model: str) -> StreamName:
    return StreamName(f"{MODEL_STREAM}{model}")


def _place(order: Order) -> Position:
    return order.position
