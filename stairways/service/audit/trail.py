"""What happened to a model, in a run, or by one person, in order and in words."""

import heapq
from collections.abc import Iterable, Iterator

from stairways.core.values import StreamName
from stairways.errors import NoSuchEventError
from stairways.readmodels.batch import MODEL_STREAM
from stairways.service.audit.asking import Filter, Row, events
from stairways.service.audit.models import runs_of_model
from stairways.service.audit.sentences import sentence
from stairways.service.runs import run_stream
from stairways.service.stairway.journal import LANDMARKS
from stairways.store.contract import Record
from stairways.store.sql import SqlStore

TOLD = tuple(name for name in LANDMARKS if name != "PolicyUpdated")
"""What a trail tells; steps and updates are too many to be read one by one."""

ACTORS_SHOWN = 10
_ACTORS = "SELECT DISTINCT actor FROM appends WHERE first <= ? ORDER BY actor"


def trail(
    store: SqlStore,
    *,
    model: str | None = None,
    run: str | None = None,
    actor: str | None = None,
) -> Iterator[Row]:
    """Yield what happened, oldest first: to ``model``, in ``run``, or by ``actor``.

    Several of them restrict each other. Steps and updates are left out. Raises
    ``NoSuchRunError`` for a model nobody trained, ``NoSuchEventError`` for somebody who
    recorded nothing.
    """
    if actor is not None:
        _check_known(store, actor)
    found: Iterable[Record]
    if model is not None:
        found = _of_model(store, model)
        found = found if run is None else (r for r in found if _is_of_run(r, run))
    else:
        found = events(store, Filter(run=run, types=TOLD))
    return (_row(record) for record in found if actor in (None, record.actor))


def _check_known(store: SqlStore, actor: str) -> None:
    """Raise ``NoSuchEventError`` naming those who recorded something unless ``actor`` did."""
    known = [str(name) for (name,) in store.rows(_ACTORS, (store.head().size,))]
    if actor in known:
        return
    near = [name for name in known if actor.lower() in name.lower()]
    shown = ", ".join((near or known)[:ACTORS_SHOWN]) or "nobody"
    raise NoSuchEventError(
        f"Nobody recorded anything under the name {actor}; the log knows: {shown}."
    )


def _of_model(store: SqlStore, model: str) -> Iterator[Record]:
    """Yield what a model's own stream says and what its runs say, in the order of the log."""
    stream, runs = StreamName(MODEL_STREAM + model), runs_of_model(store, model)
    reads = [
        store.read(stream=one, types=TOLD) for one in (stream, *(run_stream(run) for run in runs))
    ]
    yield from heapq.merge(*reads, key=lambda record: record.position)


def _is_of_run(record: Record, run: str) -> bool:
    return record.stream == run_stream(run) or record.correlation == run


def _row(record: Record) -> Row:
    return {
        "position": record.position,
        "recorded_at": record.recorded_at,
        "actor": record.actor,
        "stream": record.stream,
        "type": record.type,
        "says": sentence(record),
    }
