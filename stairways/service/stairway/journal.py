"""One writer's way into the log: typed events in, versions kept, repeats recognised."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from stairways import codec
from stairways.core.events import Event
from stairways.core.values import NEW, StreamName, Version
from stairways.errors import TrainingFailedError, WrongVersionError
from stairways.store.contract import Appended, Context, Encoded, EventStore, Record

ContextSource = Callable[[], Context]
MODEL_STREAM = "model-"
STEPS = ("StepTaken", "ControllerUpdated", "BalanceAsserted", "EvaluationStepTaken")
LANDMARKS = tuple(sorted(set(codec.CLASSES) - set(STEPS)))
"""Types of events of which a run has few, enough to tell how far it came."""

ASIDE = ("RunResumed", "RunFailed", "RunStopped")
"""Types of events about interruptions, which are no part of what a run repeats."""


def encoded(events: Iterable[Event]) -> list[Encoded]:
    """Return events as the log keeps them."""
    return [Encoded(*codec.type_of(event), codec.encode(event)) for event in events]


def decoded(record: Record) -> Event:
    """Return the event of a record."""
    return codec.decode(record.type, record.schema, record.payload)


class Journal:
    """Appends to the streams of one run and expects no other writer on them.

    After an interruption a run is executed again from its last captured state. What it then
    wants to write is partly in the log already: ``recorded`` has those records, by stream,
    in order. As long as there are any, a write must equal them and changes nothing, so that
    durable steps are neither lost nor taken twice. ``versions`` says where each stream stands
    for this writer; whoever else appends to the run's stream stops it.
    """

    def __init__(
        self,
        store: EventStore,
        context: ContextSource,
        recorded: dict[StreamName, Sequence[Record]] | None = None,
    ) -> None:
        self.store = store
        self.context = context
        self._recorded = {s: deque(records) for s, records in (recorded or {}).items()}
        self.versions: dict[StreamName, Version] = {}

    def write(self, stream: StreamName, *events: Event, blobs: Sequence[bytes] = ()) -> Appended:
        """Append events to ``stream``, with the ``blobs`` they name, durably and all or nothing."""
        return self.write_encoded(stream, encoded(events), blobs)

    def write_encoded(
        self, stream: StreamName, events: Sequence[Encoded], blobs: Sequence[bytes] = ()
    ) -> Appended:
        """Append events that are encoded already."""
        waiting = self._recorded.get(stream)
        if waiting:
            return _already(waiting, events)
        try:
            expected, context = self._expected(stream), self.context()
            appended = self.store.append(stream, expected, events, context, blobs)
        except WrongVersionError as error:
            raise WrongVersionError(
                f"Another process writes to {stream}, so this one stops; what is recorded stays. "
                "Let the other one finish, or stop it and start `stairways train` again."
            ) from error
        self.versions[stream] = appended.version
        return appended

    def _expected(self, stream: StreamName) -> Version | None:
        """Return the version a stream of this run must stand at; a model's has other writers."""
        return None if stream.startswith(MODEL_STREAM) else self.versions.get(stream, NEW)


def _already(waiting: deque[Record], events: Sequence[Encoded]) -> Appended:
    """Return where ``events`` stand in the log; raises if the log says something else."""
    found = [waiting.popleft() for _ in range(min(len(events), len(waiting)))]
    for record, event in zip(found, events, strict=False):
        if (record.type, record.payload) != (event.type, event.payload):
            raise TrainingFailedError(
                f"Going on from the last state gives another {event.type} than position "
                f"{record.position} has. Resume on the machine and version the run began on."
            )
    if len(found) < len(events):
        raise TrainingFailedError(
            f"The log holds only a part of what follows position {found[-1].position}; "
            "run `stairways verify` on it."
        )
    return Appended(found[0].position, found[-1].position, found[-1].version)
