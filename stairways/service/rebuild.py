"""Any model of any moment: its parameters as they stood then, from the log and its blobs.

Where the state itself was captured it is read; where it was not, the updates since the last
captured one are executed again and held against everything the log says of them.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from stairways.core.lineage import Placed, Standing, calibrated, end_of_cycle, standing
from stairways.core.values import Digest, Position, digest_of
from stairways.errors import BlobMissingError, NoSuchEventError
from stairways.service.replay.comparing import ComparingJournal, DiffersError, Overlay, Tally
from stairways.service.stairway.journal import ASIDE, LANDMARKS, decoded
from stairways.service.stairway.run import Job, progress_at, recorded_climber, stand_at
from stairways.service.stairway.unfinished import start_of
from stairways.store.contract import Record
from stairways.training import state as states
from stairways.training.export import archive_of, parameters_of, safetensors_of
from stairways.training.state import Arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a model is wanted as: a position, the end of a cycle, or a time; one of the three."""

    position: Position | None = None
    cycle: int | None = None
    time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """The parameters a run had, where that is recorded, and how its hold logit is raised."""

    run: str
    standing: Standing
    parameters: Arrays
    reexecuted: int  # updates that were executed again
    calibration: tuple[Position, float] | None  # where it was calibrated, and the base margin

    @property
    def digest(self) -> Digest:
        """Return the digest of the parameters, which is the recorded one."""
        return self.standing.parameters

    def safetensors(self) -> bytes:
        """Return the parameters alone."""
        return safetensors_of(self.parameters)

    def archive(self, job: Job) -> bytes:
        """Return an archive of stable-baselines3 with the base margin in its bias."""
        margin = self.calibration[1] if self.calibration else 0.0
        return archive_of(self.parameters, margin, job.plan.ppo, len(job.bars.symbols))


def rebuild(job: Job, moment: Moment) -> Rebuilt:
    """Return the model of a run as it stood at ``moment``; nothing is written.

    Raises ``NoSuchEventError`` if there was none yet, ``BlobMissingError`` if the log does not
    lead to the parameters it records.
    """
    records = landmarks(job)
    placed = [(record.position, decoded(record)) for record in records]
    now = standing(placed, _position(job, moment, records, placed))
    if now is None:
        raise NoSuchEventError(f"Run {job.run} had no parameters yet at that point; look later.")
    parameters, again = _parameters(job, records, now)
    found = digest_of(safetensors_of(parameters))
    if found != now.parameters:
        raise BlobMissingError(
            f"Position {now.position} records the parameters {now.parameters}, but its state "
            f"holds {found}. Run `stairways verify` and restore the log from a backup."
        )
    return Rebuilt(
        run=job.run,
        standing=now,
        parameters=parameters,
        reexecuted=again,
        calibration=calibrated(placed, now.parameters),
    )


def landmarks(job: Job) -> list[Record]:
    """Return the events of a run and of its model about it, in order, steps left out."""
    own = job.store.read(stream=job.run_stream, types=LANDMARKS)
    model = (r for r in job.store.read(stream=job.model_stream) if r.correlation == job.run)
    return list(heapq.merge(own, model, key=_place))


def _position(
    job: Job, moment: Moment, records: Sequence[Record], placed: Sequence[Placed]
) -> Position:
    """Return the last position that counts for ``moment``."""
    if moment.position is not None:
        size = job.store.head().size
        if moment.position > size:
            raise NoSuchEventError(f"The log has {size} events; ask for a position up to {size}.")
        return moment.position
    if moment.cycle is not None:
        found = end_of_cycle(placed, moment.cycle)
    else:
        assert moment.time is not None  # noqa: S101 - one of the three
        past = [r.position for r in records if r.recorded_at <= moment.time]
        found = max(past, default=None)
    if found is None:
        wanted = f"cycle {moment.cycle}" if moment.cycle is not None else f"{moment.time}"
        raise NoSuchEventError(f"Run {job.run} has no update of {wanted} to be rebuilt.")
    return found


def _parameters(job: Job, records: Sequence[Record], now: Standing) -> tuple[Arrays, int]:
    """Return the parameters, and how many updates had to be executed again for them."""
    if now.is_captured:
        return parameters_of(states.unpack(job.store.get_blob(now.state))), 0
    try:
        return _reexecuted(job, records, now)
    except DiffersError as difference:
        finding = difference.findings[0]
        raise BlobMissingError(
            f"Executing run {job.run} again from position {now.captured} does not lead to what "
            f"it records: position {finding.position}: {finding.message} Rebuild on the machine "
            "and version the run was trained on."
        ) from difference


def _reexecuted(job: Job, records: Sequence[Record], now: Standing) -> tuple[Arrays, int]:
    """Execute the updates between the captured state and the wanted parameters again."""
    own = job.store.read(stream=job.run_stream, after=now.captured, until=now.position)
    following = {job.run_stream: (record for record in own if record.type not in ASIDE)}
    journal = ComparingJournal(Overlay(job.store), following, Tally())
    climber = recorded_climber(job, start_of(job.store, job.run), journal)
    mine = [record for record in records if record.stream == job.run_stream]
    stand_at(climber, progress_at(job, mine, now.captured), now.captured)
    cycle, updates = climber.plan.programme.cycles[climber.progress.cycle - 1], 0
    while journal.last < now.position:
        climber.learn_once(cycle, climber.progress.attempt)
        updates += 1
    return states.parameter_arrays(climber.learner), updates


def _place(record: Record) -> Position:
    return record.position
