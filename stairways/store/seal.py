"""Signed checkpoints: C2SP signed notes, tlog checkpoints and tlog proofs, with Ed25519.

Formats: c2sp.org/signed-note, c2sp.org/tlog-checkpoint, c2sp.org/tlog-proof and, for proofs of
consistency, the request of c2sp.org/tlog-witness. Anybody can check them without Stairways.
"""

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from stairways.core.merkle import HASH_SIZE
from stairways.errors import SealError

ED25519 = b"\x01"
SIGNATURE_MARK = "\u2014 "
MOST_SIGNATURES = 100
LARGEST_NOTE = 1_000_000
PROOF_HEADER = "c2sp.org/tlog-proof@v1"

_DECIMAL = re.compile(r"0|[1-9][0-9]*", re.ASCII)
_TOO_LARGE = 2**63  # positions are 64-bit, to every reader of these formats
_PRIVATE = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies notes: ``name+hash+base64``, as the signed-note format writes it."""

    name: str
    raw: bytes  # 32 bytes

    @property
    def hash(self) -> bytes:
        """Return the 4 bytes that name the key in a signature line."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.raw).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.hash.hex()}+{_to_base64(ED25519 + self.raw)}"

    def verifies(self, text: str, signature: bytes) -> bool:
        """Say whether ``signature`` (64 bytes) is this key's over ``text``."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key that signs notes. It is kept in a file outside the database."""

    name: str
    seed: bytes  # 32 bytes

    @property
    def public(self) -> PublicKey:
        """Return the key that verifies what this one signs."""
        return PublicKey(self.name, self._key().public_key().public_bytes_raw())

    def __str__(self) -> str:
        return f"{_PRIVATE}{self.name}+{self.public.hash.hex()}+{_to_base64(ED25519 + self.seed)}"

    def __repr__(self) -> str:
        return f"PrivateKey({self.name!r})"

    def signature_line(self, text: str) -> str:
        """Return the line of a note that signs ``text``."""
        signature = self._key().sign(text.encode())
        return f"{SIGNATURE_MARK}{self.name} {_to_base64(self.public.hash + signature)}\n"

    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)


@dataclass(frozen=True, slots=True)
class Note:
    """A text and the names and signatures under it; nothing is verified yet."""

    text: str
    signatures: Sequence[tuple[str, bytes, bytes]]  # name, key hash, signature


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log claimed to be at one moment: its name, its size and its root."""

    origin: str
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{_to_base64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class Proof:
    """A record, its place (from 0) and the hashes that lead to the root of a checkpoint."""

    index: int
    hashes: Sequence[bytes]
    checkpoint: str  # the signed note
    extra: bytes | None = None  # here: the record, so that the proof needs nothing else

    def __str__(self) -> str:
        extra = "" if self.extra is None else f"extra {_to_base64(self.extra)}\n"
        lines = "".join(f"{_to_base64(node)}\n" for node in self.hashes)
        return f"{PROOF_HEADER}\n{extra}index {self.index}\n{lines}\n{self.checkpoint}"


def new_key(name: str) -> PrivateKey:
    """Return a fresh key; ``name`` names the log, for example ``example.org/stairways``."""
    _check_name(name)
    return PrivateKey(name, Ed25519PrivateKey.generate().private_bytes_raw())


def parse_public_key(text: str) -> PublicKey:
    """Return the key written as ``name+hash+base64``; raises ``SealError`` if it is none."""
    name, key_hash, raw = _key_parts(text)
    key = PublicKey(name, raw)
    if key.hash.hex() != key_hash:
        raise SealError(f"The public key of {name} does not match its own hash.")
    return key


def parse_private_key(text: str) -> PrivateKey:
    """Return the key that ``str`` of one wrote; raises ``SealError`` if it is none."""
    if not text.startswith(_PRIVATE):
        raise SealError("That is no private key: it should begin with PRIVATE+KEY+.")
    name, key_hash, raw = _key_parts(text.removeprefix(_PRIVATE))
    key = PrivateKey(name, raw)
    if key.public.hash.hex() != key_hash:
        raise SealError(f"The private key of {name} does not match its own hash.")
    return key


def write_key(file: Path, key: PrivateKey) -> None:
    """Write a private key that nobody else may read; never over a file that is there."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise SealError(f"{file} is there already. A key is never overwritten.") from error
    except OSError as error:
        raise SealError(f"The key cannot be written to {file}: {error.strerror}.") from error
    with os.fdopen(descriptor, "w") as opened:
        opened.write(f"{key}\n")


def read_key(file: Path) -> PrivateKey:
    """Return the private key in ``file``; refuses one that others may read."""
    try:
        mode = file.stat().st_mode & 0o077
        text = file.read_bytes().decode("ascii", "replace").strip()
    except OSError as error:
        raise SealError(f"The key {file} cannot be read: {error.strerror}.") from error
    if not text.startswith(_PRIVATE):
        raise SealError(
            f"{file} is no key file: it should begin with {_PRIVATE}. Name the file that "
            "`stairways keys new` wrote."
        )
    if mode:
        raise SealError(f"Others may read the key {file}. Run: chmod 600 {file}")
    return parse_private_key(text)


def sign(text: str, *keys: PrivateKey) -> str:
    """Return ``text`` as a note signed by every key."""
    if not text.endswith("\n"):
        raise SealError("The text of a note must end with a line feed.")
    return text + "\n" + "".join(key.signature_line(text) for key in keys)


def parse_note(content: bytes) -> Note:
    """Return the note in ``content``; raises ``SealError`` if it is malformed."""
    text, signatures = _split_note(_note_text(content))
    lines = signatures.removesuffix("\n").split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise SealError("The note has too many signatures.")
    return Note(text, [_signature(line) for line in lines])


def verified_by(note: Note, keys: Sequence[PublicKey]) -> Sequence[PublicKey]:
    """Return which of ``keys`` signed the note.

    Raises ``SealError`` if the note carries a signature of one of them that is wrong, or if
    two keys answer to one name and hash.
    """
    by_hash = {(key.name, key.hash): key for key in keys}
    if len(by_hash) < len(keys):
        raise SealError("Two keys have the same name and hash; give each key once.")
    found: dict[PublicKey, None] = {}
    for name, key_hash, signature in note.signatures:
        key = by_hash.get((name, key_hash))
        if key is None or key in found:
            continue
        if not key.verifies(note.text, signature):
            raise SealError(f"The signature of {name} under the note is wrong.")
        found[key] = None
    return list(found)


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint that the text of a note is; raises ``SealError`` if it is none."""
    origin, size, root, *_ = [*text.split("\n"), "", "", ""]
    if not origin or not _DECIMAL.fullmatch(size) or not text.endswith("\n"):
        raise SealError("The note is no checkpoint: name, size and root on three lines.")
    if int(size) >= _TOO_LARGE:
        raise SealError("The note is no checkpoint: no log is as large as it says.")
    return Checkpoint(origin, int(size), _hash(root))


def parse_proof(text: str) -> Proof:
    """Return the proof in a tlog-proof file; raises ``SealError`` if it is malformed."""
    head, blank, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or lines.pop(0) != PROOF_HEADER:
        raise SealError(f"That is no proof: it should begin with {PROOF_HEADER}.")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = _from_base64(lines.pop(0).removeprefix("extra "))
    index = lines.pop(0).removeprefix("index ") if lines else ""
    if not _DECIMAL.fullmatch(index) or int(index) >= _TOO_LARGE:
        raise SealError("The proof names no index.")
    if len(lines) > 63:  # noqa: PLR2004 - no tree is higher
        raise SealError("The proof has too many hashes.")
    return Proof(int(index), [_hash(line) for line in lines], checkpoint, extra)


def consistency_text(old: int, hashes: Sequence[bytes], note: str) -> str:
    """Return a proof of consistency as a tlog-witness request has it."""
    return f"old {old}\n" + "".join(f"{_to_base64(node)}\n" for node in hashes) + f"\n{note}"


def _check_name(name: str) -> None:
    if not name or "+" in name or any(letter.isspace() for letter in name):
        raise SealError(f"{name!r} cannot name a key: no space, no plus, not empty.")


def _key_parts(text: str) -> tuple[str, str, bytes]:
    name, _, rest = text.partition("+")
    key_hash, _, encoded = rest.partition("+")
    _check_name(name)
    content = _from_base64(encoded)
    if not re.fullmatch("[0-9a-f]{8}", key_hash) or content[:1] != ED25519:
        raise SealError(f"The key of {name} is no Ed25519 key of the signed-note format.")
    if len(content) != 1 + HASH_SIZE:
        raise SealError(f"The key of {name} has {len(content) - 1} bytes instead of 32.")
    return name, key_hash, content[1:]


def _note_text(content: bytes) -> str:
    if len(content) > LARGEST_NOTE:
        raise SealError("The note is too large.")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise SealError("The note is no UTF-8.") from error
    if any(letter < " " and letter != "\n" for letter in text):
        raise SealError("The note holds a control character.")
    return text


def _split_note(text: str) -> tuple[str, str]:
    body, blank, signatures = text.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise SealError("The note is malformed: text, empty line, signatures.")
    return body + "\n", signatures


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix(SIGNATURE_MARK).partition(" ")
    if not line.startswith(SIGNATURE_MARK) or not encoded:
        raise SealError("A signature line of the note is malformed.")
    _check_name(name)
    content = _from_base64(encoded)
    if len(content) < 5:  # noqa: PLR2004 - four bytes of key hash and a signature
        raise SealError("A signature of the note is too short.")
    return name, content[:4], content[4:]


def _hash(text: str) -> bytes:
    content = _from_base64(text)
    if len(content) != HASH_SIZE:
        raise SealError(f"{text[:60]!r} is no SHA-256 in base64.")
    return content


def _to_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _from_base64(text: str) -> bytes:
    """Return the bytes of standard base64, which must be written in its one right way."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SealError(f"{text[:60]!r} is not base64.") from error
    if _to_base64(content) != text:
        raise SealError(f"{text[:60]!r} is not the base64 of its bytes.")
    return content
