"""Which run to train: a new one on registered bars, or the unfinished one in the log."""

from stairways.core import events as e
from stairways.core.projections import RunSummary, run_summary
from stairways.core.values import Position, StreamName
from stairways.errors import NoSuchRunError
from stairways.service.runs import RUN_STREAM, is_started, run_stream
from stairways.service.stairway.journal import LANDMARKS, decoded
from stairways.store.contract import EventStore, Record


def unfinished_run(store: EventStore) -> str | None:
    """Return the newest run that has neither finished nor failed; None if there is none."""
    for stream in reversed(store.streams(RUN_STREAM)):
        ended = store.read(stream=stream, types=("RunFinished", "RunFailed"), limit=1)
        if next(iter(ended), None) is None and is_started(store, stream):
            return stream.removeprefix(RUN_STREAM)
    return None


def start_of(store: EventStore, run: str) -> e.RunStarted:
    """Return the first event of a run; raises ``NoSuchRunError`` if there is no such run."""
    stream = run_stream(run)
    for first in store.read(stream=stream, types=("RunStarted",), limit=1):
        event = decoded(first)
        assert isinstance(event, e.RunStarted)  # noqa: S101 - the type was asked for
        return event
    raise NoSuchRunError(f"The log has no run {run}; `stairways audit runs` lists them.")


def summary_of(store: EventStore, run: str) -> RunSummary:
    """Return how a run went, folded from its own events and those of its model."""
    model = StreamName(f"model-{start_of(store, run).model}")
    own = store.read(stream=run_stream(run), types=LANDMARKS)
    decided = (r for r in store.read(stream=model) if _tells_of(decoded(r), run))
    records = sorted([*own, *decided], key=_position)
    return run_summary(map(decoded, records))


def _tells_of(event: e.Event, run: str) -> bool:
    """Tell whether an event in a model's stream is about a run, whoever wrote it."""
    return getattr(event, "run", None) == run


def _position(record: Record) -> Position:
    return record.position
