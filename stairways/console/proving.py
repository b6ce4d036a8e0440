"""What can be said of a record's truth, and the commands by which others say it too."""

from dataclasses import dataclass
from typing import Literal

from stairways.console.desk import Desk
from stairways.core.merkle import leaf_hash
from stairways.core.values import LARGEST_WHOLE_NUMBER, Position
from stairways.errors import NoSuchEventError, SealError
from stairways.service.audit.browsing import records_at
from stairways.service.seal import checkpoint_of
from stairways.store.contract import Record
from stairways.store.records import record_bytes
from stairways.store.seal import parse_note

Standing = Literal["proved", "intact", "waiting", "broken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """How far a record could be checked just now, in one word and one sentence."""

    standing: Standing
    sentence: str
    computed: str  # leaf hash of the record's bytes
    stored: str
    size: int | None  # of the checkpoint that covers it
    keys: tuple[str, ...]  # name and hash of those who signed it


def record_of(desk: Desk, position: Position) -> Record:
    """Return one record; raises ``NoSuchEventError`` if the log does not reach so far."""
    for record in records_at(desk.store, [position]):
        return record
    raise NoSuchEventError(f"There is no position {position} in this log.")


def is_intact(record: Record) -> bool:
    """Say whether a record is what was hashed when it was written."""
    return leaf_hash(record_bytes(record)) == record.leaf


def covering(desk: Desk, position: Position) -> str | None:
    """Return the newest signed checkpoint, if it covers a position."""
    for _, note in newest_checkpoints(desk, 1):
        if checkpoint_of(note).size >= position:
            return note
    return None


def newest_checkpoints(desk: Desk, most: int, before: int | None = None) -> list[tuple[int, str]]:
    """Return number and note of the newest checkpoints, or of those before a number."""
    rows = desk.store.rows(
        "SELECT id, note FROM checkpoints WHERE id < ? ORDER BY id DESC LIMIT ?",
        (before or LARGEST_WHOLE_NUMBER, most),
    )
    return [(number, note.decode(errors="replace")) for number, note in rows]


def proven(desk: Desk, record: Record) -> Proven:
    """Check a record's own hash, and its way to the newest signed checkpoint that covers it."""
    standing, sentence, note = _judge(desk, record)
    signed = parse_note(note.encode()).signatures if note else ()
    return Proven(
        standing=standing,
        sentence=sentence,
        computed=leaf_hash(record_bytes(record)).hex(),
        stored=record.leaf.hex(),
        size=checkpoint_of(note).size if note else None,
        keys=tuple(f"{name}+{key.hex()}" for name, key, _ in signed),
    )


def _judge(desk: Desk, record: Record) -> tuple[Standing, str, str]:
    if not is_intact(record):
        return "broken", "The record is not what was hashed when it was written.", ""
    try:
        note = covering(desk, record.position)
        if note is None:
            return "intact", "Its hash is right; no signed checkpoint covers it yet.", ""
        size = checkpoint_of(note).size
        if not desk.subtrees.proves(size):
            return "waiting", "Its hash is right; the tree of the log is still being read.", note
        desk.subtrees.proof(record.position, note)
    except SealError as error:
        return "broken", f"{error} Run `stairways verify`.", ""
    return "proved", f"Its hash leads to the root signed at {size:,} events.", note
