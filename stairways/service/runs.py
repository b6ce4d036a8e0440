"""Runs by name: wherever a run is asked for, ``latest`` means the newest."""

import difflib

from stairways.core.projections import model_state
from stairways.core.values import Digest, StreamName
from stairways.errors import NoSuchRunError
from stairways.service.stairway.journal import MODEL_STREAM, decoded
from stairways.store.contract import EventStore

LATEST = "latest"
RUN_STREAM = "run-"
NAMES_SHOWN = 5


def run_names(store: EventStore) -> list[str]:
    """Return the names of all runs, oldest first."""
    streams = store.streams(RUN_STREAM)
    return [stream.removeprefix(RUN_STREAM) for stream in streams if is_started(store, stream)]


def is_started(store: EventStore, stream: StreamName) -> bool:
    """Say whether a run began in ``stream``; a mere name in the table of streams is no run."""
    return next(store.read(stream=stream, types=("RunStarted",), limit=1), None) is not None


def find_run(store: EventStore, name: str) -> str:
    """Return the run that ``name`` means: its name, its stream, or ``latest``.

    Raises ``NoSuchRunError`` listing the newest names.
    """
    names = run_names(store)
    if not names:
        raise NoSuchRunError("The log holds no run yet; start one with `stairways train`.")
    if name == LATEST:
        return names[-1]
    for known in (name, name.removeprefix(RUN_STREAM)):
        if known in names:
            return known
    raise NoSuchRunError(f"There is no run {name}. {_hint(name, names)}")


def run_stream(run: str) -> StreamName:
    """Return the stream of a run's training facts."""
    return StreamName(f"{RUN_STREAM}{run}")


def served_by(store: EventStore, model: str) -> Digest | None:
    """Return the parameters that a model serves: promoted last, or put back by a person."""
    stream = StreamName(f"{MODEL_STREAM}{model}")
    records = store.read(stream=stream, types=("ModelPromoted", "ModelRolledBack"))
    return model_state(map(decoded, records)).served


def _hint(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"Did you mean {near[0]}?"
    return f"The newest are: {', '.join(names[: -NAMES_SHOWN - 1 : -1])}."
