"""What a run starts from: a file, parameters the log holds, or what a model now serves."""

import re
from pathlib import Path

from stairways.core import events as e
from stairways.core.values import Digest
from stairways.errors import BlobMissingError, ModelRefusedError, StairwaysError
from stairways.service.runs import served_by
from stairways.service.stairway.journal import decoded
from stairways.store.contract import EventStore
from stairways.training.export import parameters_of, safetensors_of
from stairways.training.state import unpack, unpack_parameters
from stairways.training.warmstart import SUFFIXES, fit, read_model

NAMING = ("PolicyUpdated", "CycleStarted", "ModelRolledBack", "ModelPromoted")
"""Types of events that name parameters and a state that holds them."""


class Start:
    """What a run starts from; ``what`` is a file, a digest, the name of a model, or None.

    A file is read and checked here, so that a bad one is refused before anything is opened.
    """

    def __init__(self, what: str | None, symbols: int, hidden: tuple[int, ...]) -> None:
        self._what, self._symbols, self._hidden = what, symbols, hidden
        self._content: bytes | None = None
        if what is not None and what.endswith(SUFFIXES):
            self._content = read_model(Path(what), symbols, hidden)

    @property
    def is_read(self) -> bool:
        """Tell whether nothing is left to be looked up in a log."""
        return self._what is None or self._content is not None

    def find_in(self, store: EventStore) -> None:
        """Look up in the log what is no file; closes the log when it holds nothing fit."""
        if self.is_read or self._what is None:
            return
        try:
            self._content = from_log(store, self._what, self._symbols, self._hidden)
        except StairwaysError:
            store.close()
            raise

    def keep_in(self, store: EventStore) -> Digest | None:
        """Store the parameters and return their digest; None for a cold start."""
        return None if self._content is None else store.put_blob(self._content)


def from_log(store: EventStore, what: str, symbols: int, hidden: tuple[int, ...]) -> bytes:
    """Return parameters of the log: those of a digest, or those the model ``what`` serves."""
    digest = Digest(what) if re.fullmatch("[0-9a-f]{64}", what) else served(store, what)
    arrays = unpack_parameters(stored_parameters(store, digest))
    return fit(arrays, what, symbols, hidden)


def served(store: EventStore, model: str) -> Digest:
    """Return the parameters that a model serves; raises ``ModelRefusedError`` if none."""
    found = served_by(store, model)
    if found is None:
        raise ModelRefusedError(
            f"{model} is no model of the log that serves anything, no digest of 64 digits, and no "
            f"file ending in {' or '.join(SUFFIXES)}."
        )
    return found


def stored_parameters(store: EventStore, digest: Digest) -> bytes:
    """Return the parameters named ``digest`` as safetensors, from a blob or a captured state.

    Raises ``ModelRefusedError`` if the log holds none of that name.
    """
    state = state_of(store, digest)
    if state is not None:
        return safetensors_of(parameters_of(unpack(store.get_blob(state))))
    try:
        return store.get_blob(digest)
    except BlobMissingError as error:
        raise ModelRefusedError(f"The log holds no parameters {digest}.") from error


def state_of(store: EventStore, digest: Digest) -> Digest | None:
    """Return a captured state that holds the parameters ``digest``; None if there is none."""
    for record in store.read(types=NAMING):
        match decoded(record):
            case e.CycleStarted(parent=parameters, state=state) if parameters == digest:
                return state
            case (
                e.PolicyUpdated(parameters=parameters, state=str() as state)
                | e.ModelRolledBack(parameters=parameters, state=state)
                | e.ModelPromoted(parameters=parameters, state=state)
            ) if parameters == digest:
                return Digest(state)
            case _:
                continue
    return None
