"""A bundle: one file that proves a run to somebody with Python and nothing else.

It is a zip of the run's records as they were hashed, with the whole stream of its model, a proof
that leads from them to the root of the log, the signed checkpoint over that root, the bars, the
promoted models, the report, and the script that checks all of it. The same run at the same size
of the log gives the same bytes.
"""

import json
import zipfile
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

from stairways.core import events as e
from stairways.core.values import Digest, Position, digest_of
from stairways.errors import BlobMissingError, ExportError, SealError
from stairways.readmodels.batch import decoded
from stairways.service.export.proofs import prove_records
from stairways.service.export.story import last_of_run, proven_records
from stairways.service.seal import checkpoint_of
from stairways.store.contract import Record
from stairways.store.records import record_bytes
from stairways.store.sql import SqlStore

VERIFIER = Path(__file__).with_name("verify_bundle.py")
FORMAT = "stairways-bundle/2"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment a zip can name
_README = """{format}: run {run} of a Stairways log, {size} events long, root {root}.

To check it with Python 3 alone:

    python3 verify.py THIS.zip --key KEY [--kept CHECKPOINT]

Take verify.py and the public key from somewhere you trust, not from here; {signed}

records.jsonl  each record as it was hashed: SHA-256(0x00 || line) is its RFC 6962 leaf; the run,
               and all that was said of its model until then, so that a gap is seen
proof.json     the roots of the parts of the tree that hold none of the records, in the order of
               a walk from the root that splits at the largest power of two
checkpoint     the log's size and root, signed (C2SP signed note)
blobs/         bars and promoted models under their SHA-256
report.html    the run on one page: NOT PROVEN by anything in here, and neither are this text and
               manifest.json. Read it beside the results that verify.py derives, or make it again
               from the log with `stairways export`.
"""


def write_bundle(log: SqlStore, run: str, report: bytes, file: Path) -> None:
    """Write the bundle of a run; memory does not grow with it."""
    note, size = _checkpoint(log, last_of_run(log, run))
    if size < log.head().size:
        root = checkpoint_of(note).root.hex() if note else ""
    else:
        root = log.head().root
    indexes = array("q")
    blobs: dict[Digest, None] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
        with bundle.open(_entry("records.jsonl"), "w", force_zip64=True) as lines:
            for record in proven_records(log, run, Position(size)):
                indexes.append(record.position - 1)
                blobs.update(dict.fromkeys(_blobs(record, run)))
                lines.write(record_bytes(record) + b"\n")
        hashes = [one.hex() for one in prove_records(log, indexes, size)]
        small = {
            "report.html": report,
            "proof.json": _json({"size": size, "root": root, "hashes": hashes}),
            "README.txt": _readme(run, size, root, signed=bool(note)),
            "verify.py": VERIFIER.read_bytes(),
        }
        if note:
            small["checkpoint"] = note.encode()
        for name, content in small.items():
            bundle.writestr(_entry(name), content)
        for digest in blobs:
            bundle.writestr(_entry(f"blobs/{digest}"), _blob(log, digest))
        files = {name: digest_of(content) for name, content in sorted(small.items())}
        manifest = {"format": FORMAT, "run": run, "size": size, "files": files}
        bundle.writestr(_entry("manifest.json"), _json(manifest))


def checkpoint_over(log: SqlStore, position: Position) -> str:
    """Return the newest signed checkpoint that covers a position, or nothing."""
    return _checkpoint(log, position)[0]


def _checkpoint(log: SqlStore, last: Position) -> tuple[str, int]:
    """Return the newest checkpoint over the whole run, and its size; else the log's own size."""
    for content in reversed(log.checkpoints()):
        try:
            note = content.decode()
            size = checkpoint_of(note).size
        except (SealError, UnicodeDecodeError):
            continue  # `verify` names what is wrong with it
        if last <= size <= log.head().size:
            return note, size
    return "", log.head().size


def _blobs(record: Record, run: str) -> Iterator[Digest]:
    """Yield the blobs that a bundle holds: bars, and the states of models the run promoted."""
    if record.type in ("RunStarted", "ModelPromoted"):
        match decoded(record):
            case e.RunStarted() as started:
                yield started.data
            case e.ModelPromoted() as promoted if promoted.run == run:
                yield promoted.state
            case _:
                pass


def _blob(log: SqlStore, digest: Digest) -> bytes:
    try:
        return log.get_blob(digest)
    except BlobMissingError as error:
        raise ExportError(f"The bundle would be incomplete: {error}") from error


def _readme(run: str, size: int, root: str, *, signed: bool) -> bytes:
    said = (
        "whoever forges a bundle forges\nthe copy in it too."
        if signed
        else "this one is NOT SIGNED:\nnobody had sealed the log when it was made."
    )
    return _README.format(format=FORMAT, run=run, size=size, root=root, signed=said).encode()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, indent=1).encode() + b"\n"


def write_lines(records: Iterable[Record], file: Path) -> None:
    """Write records as they were hashed, each a line of canonical JSON."""
    with file.open("wb") as opened:
        opened.writelines(record_bytes(record) + b"\n" for record in records)
