"""One record in full: whether it is what was hashed, and which signed checkpoint covers it."""

from collections.abc import Iterator
from dataclasses import dataclass

from stairways.core.merkle import leaf_hash
from stairways.core.values import Position
from stairways.errors import NoSuchEventError, SealError
from stairways.service.seal import prove_record
from stairways.store.contract import Record
from stairways.store.records import record_bytes
from stairways.store.seal import Checkpoint, parse_checkpoint, parse_note
from stairways.store.sql import SqlStore


@dataclass(frozen=True, slots=True)
class Shown:
    """One record of the log in full, and what proves it.

    ``covered`` is the oldest stored checkpoint that reaches the record, None if none does;
    ``proven`` says whether the record is under that checkpoint's root.
    """

    record: Record
    content: bytes  # canonical JSON of the whole record; its RFC 6962 leaf hash is in the log
    computed: bytes
    covered: Checkpoint | None = None
    proven: bool = False

    @property
    def intact(self) -> bool:
        """Say whether the record is what was hashed when it was written."""
        return self.computed == self.record.leaf

    @property
    def sound(self) -> bool:
        """Say whether nothing speaks against the record."""
        return self.intact and (self.covered is None or self.proven)


def show(store: SqlStore, position: Position) -> Shown:
    """Return one record; raises ``NoSuchEventError`` if the log does not reach so far."""
    record = None
    if 1 <= position <= store.head().size:
        record = next(store.read(after=Position(position - 1), until=position, limit=1), None)
    if record is None:
        raise NoSuchEventError(
            f"There is no position {position}; the log holds 1 to {store.head().size}."
        )
    content = record_bytes(record)
    covered, proven = _proof(store, position)
    return Shown(record, content, leaf_hash(content), covered, proven)


def _proof(store: SqlStore, position: Position) -> tuple[Checkpoint | None, bool]:
    """Return the oldest checkpoint that covers ``position``, and whether the record is under it."""
    for note, checkpoint in _checkpoints(store):
        if position <= checkpoint.size <= store.head().size:
            return checkpoint, _is_under(store, position, note)
    return None, False


def _is_under(store: SqlStore, position: Position, note: str) -> bool:
    try:
        prove_record(store, position, note)  # raises unless the record leads to the root
    except SealError:
        return False
    return True


def _checkpoints(store: SqlStore) -> Iterator[tuple[str, Checkpoint]]:
    """Yield the stored checkpoints that can be read, oldest first; `verify` names the others."""
    for content in store.checkpoints():
        try:
            yield content.decode(), parse_checkpoint(parse_note(content).text)
        except (SealError, UnicodeDecodeError):
            continue
