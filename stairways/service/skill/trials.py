"""Which models were evaluated so far on the same bars, as this log tells it."""

import math
from collections.abc import Iterator

from stairways.core import events as e
from stairways.core.skill import Trial
from stairways.core.values import Digest, Position
from stairways.errors import UnknownEventError
from stairways.service.stairway.journal import decoded
from stairways.store.contract import EventStore


def known_trials(store: EventStore, data: Digest, until: Position | None = None) -> Iterator[Trial]:
    """Yield the models that this log says were evaluated on the same bars, up to a position.

    An event that cannot be read counts for nothing here; ``verify`` and ``replay`` name it.
    """
    for record in store.read(types=("SkillMeasured",), until=until):
        try:
            event = decoded(record)
        except (UnknownEventError, ValueError):
            continue
        if isinstance(event, e.SkillMeasured) and event.data == data:
            yield trial_of(record.position, event)


def trial_of(position: Position, event: e.SkillMeasured) -> Trial:
    """Return what a weighed result counts as among others."""
    bars = event.first_bar, event.last_bar
    return Trial(position, by_bar(event.sharpe[1], event.a_year), *bars)


def by_bar(sharpe: float, a_year: float) -> float:
    """Return an annualised ratio as one by bar."""
    return sharpe / math.sqrt(a_year) if a_year > 0 else 0.0
