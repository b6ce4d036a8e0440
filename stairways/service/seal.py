"""Sign the log as it stands, and prove single records or whole continuations of it."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stairways import codec
from stairways.core.events import CheckpointSigned, KeyRotated
from stairways.core.merkle import (
    Span,
    consistency_spans,
    inclusion_spans,
    is_consistent,
    is_included,
    leaf_hash,
)
from stairways.core.values import Position, StreamName, digest_of
from stairways.errors import ProofWrongError, SealError
from stairways.service.roots import further_roots, kept_roots, span_root
from stairways.service.verify.checkpoints import read_checkpoint
from stairways.store.contract import Appended, Context, Encoded, EventStore, Head
from stairways.store.driver import Connection
from stairways.store.records import record_bytes
from stairways.store.seal import (
    Checkpoint,
    PrivateKey,
    Proof,
    PublicKey,
    consistency_text,
    parse_checkpoint,
    parse_note,
    parse_proof,
    parse_public_key,
    sign,
    verified_by,
)
from stairways.store.sql import SqlStore

OPERATOR = StreamName("operator")


def seal_log(store: SqlStore, key: PrivateKey, context: Context) -> str:
    """Sign the log as it stands now, store the checkpoint and return it as a note.

    The first key a log is signed with is recorded as an event before. Raises ``SealError``
    if the log was last signed with another key: rotate it.
    """
    head = store.head()  # before the key: whoever rotates it meanwhile is noticed or comes after
    current = current_key(store)
    if current is None:
        _record_key(store, KeyRotated(key=str(key.public), previous=None, reason="first"), context)
        head = store.head()
    elif current != key.public:
        raise SealError(
            f"The log is signed with the key {current}, not with {key.public}. Rotate with "
            "`stairways keys rotate`, which records it."
        )
    return _sign_and_store(store, head, key.name, context, key)


def rotate_key(
    store: SqlStore, old: PrivateKey, new: PrivateKey, reason: str, context: Context
) -> str:
    """Record that ``new`` follows ``old``, and store a checkpoint signed by both.

    Raises ``SealError`` if the log is signed with another key than ``old``, or ``new`` is that.
    """
    if new.public.raw == old.public.raw:
        raise SealError(
            "The new key is the old one. Make another with `stairways keys new`; nothing was "
            "recorded."
        )
    current = current_key(store)
    if current is not None and current != old.public:
        raise SealError(f"The log is signed with the key {current}, not with {old.public}.")
    event = KeyRotated(key=str(new.public), previous=str(old.public), reason=reason)
    _record_key(store, event, context)
    return _sign_and_store(store, store.head(), new.name, context, old, new)


def current_key(store: EventStore) -> PublicKey | None:
    """Return the key that the log is signed with, None if it never was."""
    records = deque(store.read(types=["KeyRotated"]), maxlen=1)
    if not records:
        return None
    last = records.pop()
    event = codec.decode(last.type, last.schema, last.payload)
    assert isinstance(event, KeyRotated)  # noqa: S101 - read by its type
    return parse_public_key(event.key)


def prove_record(store: SqlStore, position: Position, note: str) -> Proof:
    """Return the proof that the record at ``position`` is under the checkpoint ``note``."""
    size = checkpoint_of(note).size
    spans = inclusion_spans(position - 1, size) if 1 <= position <= size else []
    return prove_with(store, position, note, _span_roots(store, spans))


def prove_with(store: SqlStore, position: Position, note: str, hashes: Sequence[bytes]) -> Proof:
    """Return the proof that ``hashes`` make for the record at ``position``, if it holds."""
    checkpoint = checkpoint_of(note)
    if not 1 <= position <= checkpoint.size:
        raise SealError(
            f"The checkpoint covers positions 1 to {checkpoint.size}, not {position}. Sign a "
            "newer one with `stairways seal`."
        )
    [record] = store.read(after=Position(position - 1), until=position)
    proof = Proof(position - 1, hashes, note, record_bytes(record))
    _check_holds(proof, checkpoint)
    return proof


def checkpoint_of(note: str) -> Checkpoint:
    """Return the checkpoint that a signed note is; its signatures are not checked."""
    return parse_checkpoint(parse_note(note.encode()).text)


def check_proof(text: str, keys: Sequence[PublicKey]) -> tuple[Proof, Checkpoint]:
    """Return a proof that holds and whose checkpoint one of ``keys`` signed.

    Raises ``ProofWrongError`` saying why it does not, ``SealError`` for a text that is no proof.
    """
    proof = parse_proof(text)
    note = parse_note(proof.checkpoint.encode())
    if not verified_by(note, keys):
        raise ProofWrongError("None of the given keys signed the checkpoint of the proof.")
    checkpoint = parse_checkpoint(note.text)
    _check_holds(proof, checkpoint)
    return proof, checkpoint


def prove_consistency(store: SqlStore, old: int, new: int) -> Sequence[bytes]:
    """Return the hashes that prove the log of ``new`` events to continue that of ``old``."""
    size = store.head().size
    if not 0 < old <= new <= size:
        raise SealError(f"The log has {size} events; ask for 0 < OLD <= NEW <= {size}.")
    old_root, new_root, *hashes = _span_roots(
        store, [(0, old), (0, new), *consistency_spans(old, new)]
    )
    if not is_consistent(old, new, old_root=old_root, new_root=new_root, proof=hashes):
        raise SealError("The stored hashes contradict each other. Run `stairways verify`.")
    return hashes


def consistency_file(store: SqlStore, old: int, new: int) -> str:
    """Return a proof of consistency as a tlog-witness request; the note is that of ``new``."""
    note = note_of_size(store, new)
    return consistency_text(old, prove_consistency(store, old, new), note)


def checked_record(file: Path, keys: Sequence[PublicKey]) -> str:
    """Return the record of a proof file as one line, after the proof was found to hold."""
    if not keys:
        raise SealError("A proof is worth what its key is: name the public key with --key.")
    proof, _ = check_proof(_read(file).decode(errors="replace"), keys)
    return (proof.extra or b"").decode(errors="replace") + "\n"


def read_keys(given: Sequence[str]) -> Sequence[PublicKey]:
    """Return public keys that are given as text, or as files that hold one."""
    keys: dict[PublicKey, None] = {}
    for text in given:
        file = Path(text)
        key = _key_in(file) if file.is_file() else parse_public_key(text)
        keys[key] = None
    return list(keys)


def _key_in(file: Path) -> PublicKey:
    try:
        return parse_public_key(_read(file).decode(errors="replace").strip())
    except SealError as error:
        raise SealError(f"{file} holds no public key: {error}") from error


def read_kept(file: Path, keys: Sequence[PublicKey]) -> Checkpoint:
    """Return the checkpoint in a file that somebody kept; signed by one of ``keys`` if any."""
    try:
        return read_checkpoint(_read(file), keys)
    except SealError as error:
        raise SealError(f"{file}: {error}") from error


def newest_note(store: EventStore) -> str:
    """Return the newest signed checkpoint; raises ``SealError`` if there is none."""
    notes = store.checkpoints()
    if not notes:
        raise SealError("The log was never signed. Run `stairways seal` first.")
    return notes[-1].decode()


def note_of_size(store: EventStore, size: int) -> str:
    """Return the signed checkpoint of a size; raises ``SealError`` if there is none."""
    for content in store.checkpoints():
        note = content.decode()
        if parse_checkpoint(parse_note(content).text).size == size:
            return note
    raise SealError(f"No signed checkpoint has {size} events. Look at `stairways seal --list`.")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SealError(f"{file} cannot be read: {error.strerror}.") from error


def _sign_and_store(
    store: SqlStore, head: Head, origin: str, context: Context, *keys: PrivateKey
) -> str:
    """Sign the log, and store the note and the event that says so in one transaction."""
    roots = kept_roots(store)
    roots += further_roots(store, len(roots), head.size)
    note = sign(str(Checkpoint(origin, head.size, bytes.fromhex(head.root))), *keys).encode()
    signed = CheckpointSigned(
        checkpoint=len(store.checkpoints()) + 1,
        origin=origin,
        size=head.size,
        root=head.root,
        keys=tuple(str(key.public) for key in keys),
        note=digest_of(note),
        subtrees=digest_of(b"".join(roots)) if roots else None,
    )

    def keep(connection: Connection, _: Appended) -> None:
        [(known,)] = connection.execute("SELECT count(*) FROM checkpoints").fetchall()
        if known + 1 != signed.checkpoint:
            raise SealError("Another process signed the log meanwhile. Sign it again.")
        insert = store.driver.sql("INSERT INTO checkpoints (id, note) VALUES (?, ?)")
        connection.execute(insert, (signed.checkpoint, note))

    encoded = Encoded(*codec.type_of(signed), codec.encode(signed))
    own = replace(context, append_id=f"{context.append_id}-signed")
    blobs = [b"".join(roots)] if roots else []
    store.append(OPERATOR, None, [encoded], own, blobs=blobs, also=keep)
    return note.decode()


def _record_key(store: EventStore, event: KeyRotated, context: Context) -> None:
    encoded = Encoded(*codec.type_of(event), codec.encode(event))
    store.append(OPERATOR, None, [encoded], context)


def _check_holds(proof: Proof, checkpoint: Checkpoint) -> None:
    leaf = leaf_hash(proof.extra or b"")
    if not is_included(
        proof.index, checkpoint.size, leaf=leaf, proof=proof.hashes, root=checkpoint.root
    ):
        raise ProofWrongError(
            f"The record is not at index {proof.index} under the root of the checkpoint: one "
            "of them was changed."
        )


def _span_roots(store: SqlStore, spans: Sequence[Span]) -> list[bytes]:
    kept = kept_roots(store)
    return [span_root(store, kept, span) for span in spans]
