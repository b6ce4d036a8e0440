"""Check signed checkpoints: well-formed, signed by a known key, and on the way of the log."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from stairways.core.merkle import EMPTY_ROOT
from stairways.core.values import digest_of
from stairways.errors import SealError
from stairways.service.verify.findings import Finding, shown
from stairways.store.raw import RawLog
from stairways.store.seal import (
    Checkpoint,
    Note,
    PublicKey,
    parse_checkpoint,
    parse_note,
    parse_public_key,
    verified_by,
)


class NotSignedError(SealError):
    """No key that is trusted signed a note."""


class RetiredKeyError(SealError):
    """A note was not signed by the key that signed the log at its time."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A checkpoint and what to call it in a finding."""

    label: str
    checkpoint: Checkpoint


@dataclass(slots=True)
class Stored:
    """The checkpoints in the database, and what is wrong with their form or signatures."""

    sealed: list[Sealed] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def stored_checkpoints(log: RawLog, keys: Sequence[PublicKey]) -> Stored:
    """Read the stored checkpoints.

    Without ``keys`` signatures are held against the keys that the log itself names: that
    shows damage, not forgery.
    """
    stored = Stored()
    terms = _terms(log)
    known = list(dict.fromkeys(keys)) or list(dict.fromkeys(key for _, key in terms))
    for number, (identity, content) in enumerate(log.checkpoints(), 1):
        label = f"checkpoint {shown(identity)}"
        before = stored.sealed[-1].checkpoint.size if stored.sealed else 0
        if identity != number:
            stored.findings.append(Finding(None, "checkpoints.id", str(number), shown(identity)))
        try:
            sealed = Sealed(label, read_checkpoint(content, known))
            _check_term(content, sealed.checkpoint, terms)
        except SealError as error:
            stored.findings.append(_no_note(identity, error, given=bool(keys)))
        else:
            stored.sealed.append(sealed)
            if sealed.checkpoint.size < before:
                shrunk = Finding(None, label, f"at least {before}", str(sealed.checkpoint.size))
                stored.findings.append(shrunk)
    return stored


def _no_note(identity: object, error: SealError, *, given: bool) -> Finding:
    """Return what is wrong with a stored note; the keys were given, or are those of the log."""
    field, whose = f"checkpoints.note of {shown(identity)}", "given" if given else "of the log"
    if isinstance(error, RetiredKeyError):
        expected, actual = "a signature of the key of its time", "signed by one retired before"
    elif isinstance(error, NotSignedError):
        expected, actual = f"a signature of a key {whose}", "signed by none"
    else:
        expected, actual = "a signed note", f"none ({str(error).rstrip('.')})"
    return Finding(None, field, expected, actual)


def read_checkpoint(content: object, keys: Sequence[PublicKey]) -> Checkpoint:
    """Return the checkpoint in a note that one of ``keys`` signed; ``SealError`` if it is not.

    No keys at all means that nobody can check the signature.
    """
    if not isinstance(content, bytes):
        raise SealError(f"The note is {shown(content)}.")
    note: Note = parse_note(content)
    if keys and not verified_by(note, keys):
        raise NotSignedError("None of the given keys signed the note.")
    return parse_checkpoint(note.text)


def _terms(log: RawLog) -> list[tuple[int, PublicKey]]:
    """Return the keys that events of the log name, each with the position from which it signs."""
    terms = list[tuple[int, PublicKey]]()
    for position, payload in log.of_type("KeyRotated"):
        try:
            terms.append((int(position), parse_public_key(orjson.loads(payload)["key"])))
        except (SealError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError):
            continue  # the record itself is rehashed elsewhere
    return terms


def _check_term(
    content: bytes, checkpoint: Checkpoint, terms: Sequence[tuple[int, PublicKey]]
) -> None:
    """Raise ``RetiredKeyError`` if a key signed alone that another had followed by then."""
    due = [key for position, key in terms if position <= checkpoint.size]
    if due and not verified_by(parse_note(content), due[-1:]):
        raise RetiredKeyError("A key signed the note that was retired before.")


def check_sealed(
    sealed: Sequence[Sealed], roots: Mapping[int, bytes], size: int
) -> Iterator[Finding]:
    """Yield the first checkpoint that the log is no continuation of, and all that are ahead."""
    sound, here, known = 0, 0, {0: EMPTY_ROOT, **roots}
    for one in sorted(sealed, key=lambda one: one.checkpoint.size):
        place, root = one.checkpoint.size, one.checkpoint.root
        if place > here:
            sound, here = here, place
        if place > size:
            yield Finding(size + 1, one.label, f"{place} events", f"{size} events", place)
        elif known[place] != root:
            yield Finding(sound + 1, one.label, root.hex(), known[place].hex(), place)
            return


def check_signed(log: RawLog, size: int) -> Iterator[Finding]:
    """Yield where the stored checkpoints are not those that ``CheckpointSigned`` events name.

    Checkpoints from before the first such event have none.
    """
    notes: dict[object, object] = dict(log.checkpoints())
    signed = list[int]()
    for position, payload in log.of_type("CheckpointSigned"):
        try:
            said = orjson.loads(payload)
            number, digest = said["checkpoint"], said["note"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            continue  # the record itself is rehashed elsewhere
        if not isinstance(number, int) or not isinstance(position, int):
            continue
        signed.append(number)
        note = notes.get(number)
        found = digest_of(note) if isinstance(note, bytes) else None
        if found != digest and 1 <= position <= size:
            yield Finding(position, f"checkpoints.note of {number}", shown(digest), shown(found))
    for number in notes:
        if signed and number not in signed and isinstance(number, int) and number > signed[0]:
            yield Finding(None, "checkpoints.id", "one that an event names", str(number))
