"""Follows the log from its own position; begun again at zero it comes to the same figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from stairways.core.values import Position
from stairways.errors import UnknownEventError
from stairways.metrics.figures import Figures, RolloutSpan, evolve, unreadable
from stairways.metrics.rollout import RolloutFigures, read_rollout
from stairways.readmodels import queries
from stairways.readmodels.batch import decoded
from stairways.service.stairway.journal import LANDMARKS
from stairways.store.contract import START, EventStore
from stairways.store.sql import SqlStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The figures of the log at one moment, with what had to be looked up for them."""

    figures: Figures = field(default_factory=Figures)
    rollouts: Mapping[str, RolloutFigures] = field(default_factory=dict)  # by model
    size: int = 0  # events in the log
    projected: Position | None = None  # of the read models; None while nobody filled them
    reachable: bool = True


class Follower:
    """Brings the figures of a log up to now. Call it from one thread."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._spans: dict[str, RolloutSpan] = {}
        self.snapshot = Snapshot()

    def catch_up(self) -> Snapshot:
        """Take every landmark that is new, and return how the log stands now.

        Raises ``LogUnavailableError`` or ``LogBusyError``; the figures then stay as they were.
        """
        size = self._store.head().size
        figures = self.snapshot.figures
        after = max(figures.position, START)
        for record in self._store.read(types=LANDMARKS, after=after, until=Position(size)):
            try:
                event = decoded(record)
            except UnknownEventError:
                figures = unreadable(figures, record)
            else:
                figures = evolve(figures, record, event)
        self.snapshot = Snapshot(
            figures=replace(figures, position=Position(size)),
            rollouts=self._rollouts(figures),
            size=size,
            projected=self._projected(),
        )
        return self.snapshot

    def lost(self) -> Snapshot:
        """Return the last figures, saying that the log cannot be reached now."""
        self.snapshot = replace(self.snapshot, reachable=False)
        return self.snapshot

    def _rollouts(self, figures: Figures) -> Mapping[str, RolloutFigures]:
        """Return the figures of each model's newest rollout; only new ones are read."""
        found = dict(self.snapshot.rollouts)
        for name, model in figures.models.items():
            if model.rollout is None or self._spans.get(name) == model.rollout:
                continue
            try:
                rollout = read_rollout(self._store, model.rollout, model.slow_limit)
            except UnknownEventError:
                rollout = None
            found.pop(name, None)
            if rollout is not None:
                found[name] = rollout
            self._spans[name] = model.rollout
        return found

    def _projected(self) -> Position | None:
        if not isinstance(self._store, SqlStore):
            return None
        standing = queries.standing(self._store)
        return standing.position if standing else None
