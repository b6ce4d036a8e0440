"""Legal holds: placed and lifted by name and reason, as events of the operator."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from stairways.core.events import LegalHoldLifted, LegalHoldPlaced, RunStarted
from stairways.core.retention import Closing, Hold, holds_in_force
from stairways.core.values import StreamName
from stairways.errors import RetentionError
from stairways.service.runs import find_run, run_stream
from stairways.service.stairway.journal import decoded, encoded
from stairways.store.contract import Appended, Context, EventStore

OPERATOR = StreamName("operator")
_ENDS = ("RunStarted", "RunResumed", "RunFinished", "RunFailed")


def place_hold(
    store: EventStore,
    name: str,
    runs: Sequence[str],
    *,
    who: str,
    reason: str,
    context: Context,
) -> Appended:
    """Record that nothing of ``runs`` (of any run, if none is named) may be archived.

    Raises ``RetentionError`` if a hold of that name is in force or a word is missing, and
    ``NoSuchRunError`` for a run that is not in the log.
    """
    _check_words(name, who, reason)
    if any(hold.name == name for hold in holds(store)):
        raise RetentionError(
            f"The hold {name} is in force already. Lift it first, or name another."
        )
    found = tuple(find_run(store, run) for run in runs)
    event = LegalHoldPlaced(name=name, runs=found, who=who, reason=reason)
    return store.append(OPERATOR, None, encoded([event]), context)


def lift_hold(store: EventStore, name: str, *, who: str, reason: str, context: Context) -> Appended:
    """Record that a hold ended; raises ``RetentionError`` if none of that name is in force."""
    _check_words(name, who, reason)
    known = [hold.name for hold in holds(store)]
    if name not in known:
        said = f"those in force are {', '.join(known)}" if known else "none is in force"
        raise RetentionError(f"There is no hold {name}; {said}.")
    event = LegalHoldLifted(name=name, who=who, reason=reason)
    return store.append(OPERATOR, None, encoded([event]), context)


def holds(store: EventStore) -> Sequence[Hold]:
    """Return the legal holds that are in force, oldest first."""
    return holds_in_force(_about_holds(store))


def closing_of(store: EventStore, run: str) -> Closing:
    """Return whether and when a run was closed, and the settings it recorded."""
    closed: datetime | None = None
    promised: dict[str, str] = {}
    for record in store.read(stream=run_stream(run), types=_ENDS):
        event = decoded(record)
        closed = record.recorded_at if record.type in ("RunFinished", "RunFailed") else None
        if isinstance(event, RunStarted):
            promised = dict(event.settings)
    return Closing(run=run, closed=closed, promised=promised)


def _about_holds(
    store: EventStore,
) -> Iterator[tuple[datetime, LegalHoldPlaced | LegalHoldLifted]]:
    for record in store.read(types=("LegalHoldLifted", "LegalHoldPlaced")):
        event = decoded(record)
        if isinstance(event, LegalHoldPlaced | LegalHoldLifted):
            yield record.recorded_at, event


def _check_words(name: str, who: str, reason: str) -> None:
    for what, word in (("name", name), ("person", who), ("reason", reason)):
        if not word.strip():
            raise RetentionError(f"A legal hold needs a {what}.")
