"""Which models a log knows: those that something was decided about, and those that runs train."""

from stairways.core.values import StreamName
from stairways.errors import NoSuchRunError
from stairways.readmodels.batch import MODEL_STREAM
from stairways.service.audit.asking import payload
from stairways.service.runs import run_names, run_stream
from stairways.store.contract import EventStore


def runs_of_model(store: EventStore, model: str) -> list[str]:
    """Return the runs that train a model; raises ``NoSuchRunError`` for one the log knows not."""
    found = []
    for run in run_names(store):
        [start] = store.read(stream=run_stream(run), types=("RunStarted",), limit=1)
        said = payload(start)
        if isinstance(said, dict) and said.get("model") == model:
            found.append(run)
    if not found and StreamName(MODEL_STREAM + model) not in store.streams(MODEL_STREAM):
        known = ", ".join(s.removeprefix(MODEL_STREAM) for s in store.streams(MODEL_STREAM))
        raise NoSuchRunError(f"There is no model {model}; the log knows: {known or 'none'}.")
    return found
