"""Where a digest comes from and what became of it: every record that names it, and its kin."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from stairways.core import events as e
from stairways.core.values import Digest, Position
from stairways.errors import NoSuchEventError
from stairways.readmodels.batch import decoded
from stairways.service.audit.asking import payload
from stairways.service.audit.sentences import said
from stairways.service.stairway.journal import LANDMARKS
from stairways.store.contract import EventStore, Record
from stairways.store.sql import SqlStore

SHORTEST_DIGEST = 8
GENERATIONS = 1_000


@dataclass(frozen=True, slots=True)
class Mention:
    """A record that names the digest: in which of its fields, and what it says."""

    position: Position
    type: str
    stream: str
    field: str
    says: str


@dataclass(frozen=True, slots=True)
class Lineage:
    """What the log knows of a digest.

    ``parents`` are the parameters it was grown from, nearest first, and ``children`` those
    that were grown from it in one cycle; both are empty for what is no parameters.
    """

    digest: Digest
    roles: tuple[str, ...]  # the names of the fields that name it
    blob: int | None  # bytes of the content stored under that name, which were rehashed
    parents: tuple[Digest, ...]
    children: tuple[Digest, ...]
    mentions: tuple[Mention, ...]


def lineage(store: SqlStore, wanted: str) -> Lineage:
    """Return what the log knows of the digest that ``wanted`` is or begins.

    Raises ``NoSuchEventError`` if no event names one, or if several begin like that.
    """
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST_DIGEST},64}}", wanted):
        raise NoSuchEventError(
            f"{wanted[:80]!r} is no digest: give at least {SHORTEST_DIGEST} of its hexadecimal "
            "digits."
        )
    named = list(_named(store, wanted))
    found = sorted({digest for digest, _ in named})
    if not found:
        raise NoSuchEventError(f"No event names a digest that begins with {wanted}.")
    if len(found) > 1:
        some = ", ".join(found[:3])
        raise NoSuchEventError(
            f"{len(found)} digests begin with {wanted}: {some} … Give more of it."
        )
    digest, mentions = Digest(found[0]), tuple(mention for _, mention in named)
    grown = _grown(store)
    return Lineage(
        digest=digest,
        roles=tuple(dict.fromkeys(one.field.partition(".")[0] for one in mentions)),
        blob=_size(store, digest),
        parents=tuple(_parents(grown, digest)),
        children=tuple(child for child, parent in grown.items() if parent == digest),
        mentions=mentions,
    )


def _named(store: EventStore, wanted: str) -> Iterator[tuple[str, Mention]]:
    """Yield each digest that begins with ``wanted`` with the record and field that name it."""
    begins = wanted.encode()
    for record in store.read(types=LANDMARKS):
        if begins in record.payload:
            for field, digest in _digests(payload(record), ""):
                if digest.startswith(wanted):
                    says = said(decoded(record))
                    yield (
                        digest,
                        Mention(record.position, record.type, record.stream, field, says),
                    )


def _digests(value: object, field: str) -> Iterator[tuple[str, str]]:
    """Yield every digest in a payload with the path of its field."""
    if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value):
        yield field, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _digests(inner, f"{field}.{key}" if field else key)


def _grown(store: EventStore) -> dict[Digest, Digest]:
    """Return the parameters each cycle ended with, and those it began from."""
    begun: dict[tuple[str, int, int], Digest] = {}
    grown: dict[Digest, Digest] = {}
    for record in store.read(types=("CycleStarted", "CycleFinished")):
        match event := decoded(record):
            case e.CycleStarted():
                begun[_key(record, event)] = event.parent
            case e.CycleFinished():
                parent = begun.get(_key(record, event))
                if parent is not None and parent != event.parameters:
                    grown.setdefault(event.parameters, parent)
            case _:  # nothing else was read
                pass
    return grown


def _key(record: Record, event: e.CycleStarted | e.CycleFinished) -> tuple[str, int, int]:
    return record.stream, event.cycle, event.attempt


def _parents(grown: dict[Digest, Digest], digest: Digest) -> Iterator[Digest]:
    seen = {digest}
    for _ in range(GENERATIONS):
        parent = grown.get(digest)
        if parent is None or parent in seen:
            return
        yield parent
        seen.add(parent)
        digest = parent


def _size(store: SqlStore, digest: Digest) -> int | None:
    """Return the size of the stored content of that name; None if there is none.

    Content that is not what its name says raises ``BlobMissingError``.
    """
    [(there,)] = store.rows("SELECT count(*) FROM blobs WHERE digest = ?", (digest,))
    return len(store.get_blob(digest)) if there else None
