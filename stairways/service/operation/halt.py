"""The kill switch: a person's recorded word stops all training and serving at once."""

from stairways.core import events as e
from stairways.core.operation import Order, operation
from stairways.core.values import StreamName, Version
from stairways.errors import HaltedError
from stairways.service.stairway.journal import decoded, encoded
from stairways.store.contract import Appended, Context, EventStore

STREAM = StreamName("operator")
"""The stream of what people order about operation."""

_TYPES = ("TrainingHalted", "HaltLifted")


def halted(store: EventStore) -> Order | None:
    """Return the halt that is in force, or None."""
    records = store.read(stream=STREAM, types=_TYPES)
    return operation(decoded(record) for record in records).halt


def halt(store: EventStore, *, who: str, reason: str, context: Context) -> Appended:
    """Stop all training and serving; raises ``HaltedError`` if that is so already."""
    check_words(who, reason)
    refuse_when_halted(store)
    return store.append(STREAM, None, encoded([e.TrainingHalted(who=who, reason=reason)]), context)


def lift(store: EventStore, *, who: str, reason: str, context: Context) -> Appended:
    """Allow training and serving again; raises ``HaltedError`` if nothing is halted."""
    check_words(who, reason)
    if halted(store) is None:
        raise HaltedError("Nothing is halted; there is nothing to lift.")
    return store.append(STREAM, None, encoded([e.HaltLifted(who=who, reason=reason)]), context)


def refuse_when_halted(store: EventStore) -> None:
    """Raise ``HaltedError`` naming the person and the reason if a halt is in force."""
    standing = halted(store)
    if standing is not None:
        raise HaltedError(f"{sentence(standing)} `stairways halt --lift --reason …` lifts it.")


def sentence(halt: Order) -> str:
    """Return a halt as a sentence."""
    return f"{halt.who} halted all training and serving: {halt.reason.rstrip('.')}."


def check_words(who: str, reason: str) -> None:
    """Raise ``HaltedError`` unless a name and a reason were given."""
    if not who.strip() or not reason.strip():
        raise HaltedError("A name and a reason are needed; neither may be empty.")


class HaltWatch:
    """Says why to stop while a halt is in force, and asks the log only whether it is longer."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._version: Version | None = None
        self._reason: str | None = None

    def __call__(self) -> str | None:
        """Return the reason to stop, or None."""
        version = self._store.version(STREAM)
        if version != self._version:
            standing = halted(self._store)
            self._version = version
            self._reason = None if standing is None else sentence(standing)
        return self._reason
