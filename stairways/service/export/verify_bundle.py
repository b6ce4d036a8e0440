"""Check a bundle that Stairways exported, with Python alone: no installation, no database.

    python3 verify.py BUNDLE.zip --key 'example.org/log+0123abcd+AQ…' [--kept CHECKPOINT]

It rehashes every record, computes the root of the whole log from them and the proof, holds that
against the signed checkpoint (Ed25519, RFC 8032), checks that the records of the run and of its
model are without a gap and every decision is there, that bars and models are there and what
their names say, and derives every validation balance again from fills and bars. Take this file,
and the key, from somewhere you trust: a forger of the bundle could change the copy inside it.

Exit codes: 0 everything holds, 1 something does not, 2 it could not look, or nothing that comes
from somewhere else (a key, a kept checkpoint) was given to hold the bundle against.
"""

# Longer than our other modules may be: a stranger takes one file, and it must stand alone.

import argparse
import array
import base64
import bisect
import collections
import hashlib
import json
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Point = tuple[int, int, int, int]
Record = dict[str, Any]

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
NEUTRAL = (0, 1, 1, 0)
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
WIDTHS = {1: "B", 2: "H", 4: "I", 8: "Q"}
SIGNATURE, KEY = 64, 33  # bytes; a key has one more that says it is Ed25519
LARGEST_FILE = 4_000_000_000
FORMAT = "stairways-bundle/2"
MEMBERS = {"records.jsonl", "proof.json", "report.html", "README.txt", "verify.py", "manifest.json"}
UNPACKING = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
BLOB = re.compile(r"blobs/[0-9a-f]{64}")
COUNTED = {"StepTaken", "ControllerUpdated", "BalanceAsserted"}
"""Types of which nearly all records are; rehashed and counted they are not looked at again."""

OF_A_BALANCE = (
    "shares", "prices", "costs", "interest", "borrow", "bar", "cash", "positions", "equity"
)  # fmt: skip
"""What of a validation step is looked at again."""


class WrongError(Exception):
    """Something in the bundle is not what it must be."""


class CannotLookError(Exception):
    """What was given to check with cannot be used."""


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Say in which part of the bundle lies what cannot be understood."""
    try:
        yield
    except KeyError as error:
        raise WrongError(f"{name} has no {error.args[0]}") from error
    except (ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise WrongError(f"{name} is malformed: {error}") from error
    except (RecursionError, MemoryError, struct.error) as error:
        raise WrongError(f"{name} is malformed: {error}") from error


def member(bundle: zipfile.ZipFile, name: str) -> bytes:
    """Return what lies in the bundle under a name."""
    if name not in bundle.namelist():
        raise WrongError(f"{name} is missing")
    try:
        return bundle.read(name)
    except UNPACKING as error:
        raise WrongError(f"{name} cannot be unpacked: {error}") from error


def sha256(content: bytes) -> bytes:
    """Return the SHA-256 of ``content``."""
    return hashlib.sha256(content).digest()


def add(a: Point, b: Point) -> Point:
    """Add two points of the curve in extended coordinates (RFC 8032, section 5.1.4)."""
    u, v = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    t, z = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = v - u, z - t, z + t, v + u
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number: int, point: Point) -> Point:
    """Return a point added to itself so many times."""
    found = NEUTRAL
    while number:
        if number & 1:
            found = add(found, point)
        point, number = add(point, point), number >> 1
    return found


def same(a: Point, b: Point) -> bool:
    """Tell whether two points are one."""
    return not (a[0] * b[2] - b[0] * a[2]) % P and not (a[1] * b[2] - b[1] * a[2]) % P


def point_of(content: bytes) -> Point | None:
    """Decode a point, or return None (RFC 8032, section 5.1.3)."""
    y, sign = int.from_bytes(content, "little"), content[31] >> 7
    y &= (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (not x and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little")) or NEUTRAL


def signed(key: bytes, text: bytes, signature: bytes) -> bool:
    """Tell whether ``signature`` is an Ed25519 signature of ``text`` by ``key``."""
    if len(signature) != SIGNATURE:
        return False
    public, nonce = point_of(key), point_of(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if public is None or nonce is None or scalar >= ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little")
    return same(times(scalar, BASE), add(nonce, times(challenge % ORDER, public)))


def read_key(given: str) -> tuple[str, bytes]:
    """Return name and key, with the byte before it, of a public key in the signed-note format.

    It is given as text, or as a file that holds it.
    """
    file = Path(given)
    text = file.read_text(errors="replace").strip() if file.is_file() else given
    name, _, rest = text.partition("+")
    key_hash, _, encoded = rest.partition("+")
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:
        key = b""
    wanted = sha256(name.encode() + b"\n" + key)[:4].hex()
    if wanted != key_hash or key[:1] != b"\x01" or len(key) != KEY:
        raise CannotLookError(f"--key {given}: no Ed25519 key of the signed-note format")
    return name, key


def check_note(note: str, given: str) -> tuple[int, bytes]:
    """Return size and root of a C2SP checkpoint that the given key signed."""
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    name, key = read_key(given)
    wanted = sha256(name.encode() + b"\n" + key)[:4]
    for line in signatures.splitlines():
        who, _, signature = line.removeprefix("\u2014 ").partition(" ")
        content = base64.b64decode(signature)
        if who == name and content[:4] == wanted:
            if signed(key[1:], text.encode(), content[4:]):
                return read_checkpoint(text)
            raise WrongError(f"the signature of {name} under the checkpoint is wrong")
    raise WrongError(f"the key {name} did not sign the checkpoint")


def read_checkpoint(text: str) -> tuple[int, bytes]:
    """Return size and root in the text of a checkpoint."""
    _, size, root = text.split("\n")[:3]
    return int(size), base64.b64decode(root, validate=True)


def read_kept(file: str) -> tuple[int, bytes]:
    """Return size and root of a checkpoint that somebody kept in a file."""
    try:
        with open(file, encoding="utf-8") as opened:
            return read_checkpoint(opened.read())
    except OSError as error:
        raise CannotLookError(f"--kept {file}: {error.strerror}") from error
    except ValueError as error:
        raise CannotLookError(f"--kept {file}: no checkpoint") from error


def one_more(hashes: Iterator[bytes]) -> bytes:
    """Return the next hash of the proof."""
    found = next(hashes, None)
    if found is None:
        raise WrongError("the proof is too short for the records: some of either were left out")
    return found


class Leaves:
    """Leaf hashes by index, in order; 40 bytes each, for there may be millions."""

    def __init__(self) -> None:
        self.indexes, self.hashes = array.array("q"), bytearray()

    def add(self, index: int, leaf: bytes) -> None:
        """Add a leaf behind all others."""
        self.indexes.append(index)
        self.hashes += leaf

    def before(self, index: int) -> int:
        """Return how many leaves stand before an index."""
        return bisect.bisect_left(self.indexes, index)

    def at(self, index: int) -> bytes:
        """Return the leaf at an index that has one."""
        place = 32 * self.before(index)
        return bytes(self.hashes[place : place + 32])


def root_of(leaves: Leaves, hashes: Iterator[bytes], size: int) -> bytes:
    """Compute the root of the tree from leaves by index and the proof's hashes in order."""
    stack, found = [(0, size, False)], list[bytes]()
    while stack:
        low, high, ready = stack.pop()
        if ready:
            right, left = found.pop(), found.pop()
            found.append(sha256(b"\x01" + left + right))
        elif leaves.before(low) == leaves.before(high):
            found.append(one_more(hashes))
        elif high - low == 1:
            found.append(leaves.at(low))
        else:
            middle = low + (1 << (high - low - 1).bit_length() - 1)
            stack += [(low, high, True), (middle, high, False), (low, middle, False)]
    return found.pop()


def check_members(bundle: zipfile.ZipFile) -> None:
    """Hold every name in the bundle to be one that is read here, and to stand there once."""
    names = bundle.namelist()
    for entry in bundle.infolist():
        name = entry.filename
        if name not in MEMBERS | {"checkpoint"} and not BLOB.fullmatch(name):
            raise WrongError(f"{name!r} is no part of a bundle")
        if entry.file_size > LARGEST_FILE:
            raise WrongError(f"{name} is larger than {LARGEST_FILE} bytes")
    if twice := [name for name in names if names.count(name) > 1]:
        raise WrongError(f"{twice[0]} is there twice")
    if missing := MEMBERS - set(names):
        raise WrongError(f"{min(missing)} is missing")


def lines_of(bundle: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """Yield the lines of a member without their ends, one after the other."""
    try:
        with bundle.open(name) as lines:
            for line in lines:
                yield line.rstrip(b"\n")
    except UNPACKING as error:
        raise WrongError(f"{name} cannot be unpacked: {error}") from error


class Stream:
    """What is known of a stream: how many of its records are here, and where the first gap is."""

    def __init__(self) -> None:
        self.count, self.last, self.gap = 0, 0, ""

    def follow(self, name: str, record: Record) -> None:
        """Take the next record of the stream, and notice when one before it is missing."""
        self.count, self.last = self.count + 1, record["position"]
        if record["version"] != self.count and not self.gap:
            self.gap = f"record {self.count} of {name} is missing before position {self.last}"


class Records:
    """The records of a bundle: all that say much, and of all that there are place and hash."""

    def __init__(self) -> None:
        self.kept, self.leaves = list[Record](), Leaves()
        self.streams = collections.defaultdict[str, Stream](Stream)

    def take(self, record: Record, leaf: bytes) -> None:
        """Take the next record, held to stand behind those before it."""
        index, kind = record["position"] - 1, record["type"]
        if self.leaves.indexes and index <= self.leaves.indexes[-1]:
            raise WrongError(f"record {record['position']} is out of order")
        self.leaves.add(index, leaf)
        self.streams[record["stream"]].follow(record["stream"], record)
        if kind == "EvaluationStepTaken":
            record["payload"] = {name: record["payload"][name] for name in OF_A_BALANCE}
        if kind not in COUNTED or record["version"] == 1:
            self.kept.append(record)

    def has(self, position: int) -> bool:
        """Say whether a position's record is here."""
        return self.leaves.before(position) > self.leaves.before(position - 1)


def read_records(bundle: zipfile.ZipFile) -> Records:
    """Return the records with their leaves by index, held to be canonical and in order."""
    records = Records()
    for number, content in enumerate(lines_of(bundle, "records.jsonl"), 1):
        with reading(f"line {number} of records.jsonl"):
            record = json.loads(content)
            again = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            if again.encode() != content:
                raise WrongError(f"record {record.get('position')} is not canonical JSON")
            records.take(record, sha256(b"\x00" + content))
    if not records.leaves.indexes:
        raise WrongError("records.jsonl is empty")
    return records


def gapless(records: Records, stream: str) -> list[Record]:
    """Return what was kept of a stream, held to be all of it from its first to the last here."""
    if stream in records.streams and records.streams[stream].gap:
        raise WrongError(records.streams[stream].gap)
    return [one for one in records.kept if one["stream"] == stream]


def check_run(records: Records, run: str) -> list[Record]:
    """Hold the run's own records to have no gap, and return what was kept of them."""
    own = gapless(records, f"run-{run}")
    if not own or own[0]["type"] != "RunStarted":
        raise WrongError(f"there is no run {run}")
    return own


def check_decisions(records: Records, own: list[Record], run: str) -> list[Record]:
    """Hold every decision about the run to be there; return what the model's stream says of it."""
    stream = f"model-{own[0]['payload']['model']}"
    told = [one for one in gapless(records, stream) if one["payload"].get("run") == run]
    at = {one["position"]: one for one in told}
    for record in told:
        said = record["payload"]
        if record["type"] == "CycleVerdict":
            for position in said["evidence"]:
                if not records.has(position):
                    raise WrongError(
                        f"position {position} is missing, a gate's decision that the verdict at "
                        f"{record['position']} rests on"
                    )
        if record["type"] == "ModelPromoted" and said["verdict"] not in at:
            raise WrongError(f"the verdict behind the promotion at {record['position']} is missing")
    check_verdicts(told, own)
    return told


def check_verdicts(told: list[Record], own: list[Record]) -> None:
    """Hold each cycle that was judged to have its verdict, and each that passed its promotion."""
    spoken = {
        (one["payload"]["cycle"], one["payload"]["attempt"]): one
        for one in told
        if one["type"] == "CycleVerdict"
    }
    promoted = {one["payload"]["verdict"] for one in told if one["type"] == "ModelPromoted"}
    ends = [n for n, one in enumerate(own) if one["type"] in ("CycleStarted", "RunFinished")]
    for record in own[: max(ends, default=0)]:
        if record["type"] == "EvaluationFinished":
            cycle = record["payload"]["cycle"], record["payload"]["attempt"]
            if cycle not in spoken:
                raise WrongError("the verdict on cycle {}, attempt {}, is missing".format(*cycle))
            word = spoken[cycle]
            if word["payload"]["promoted"] and word["position"] not in promoted:
                raise WrongError(
                    f"the promotion that the verdict at {word['position']} led to is missing"
                )
    for record in own:
        cycles = len({cycle for cycle, _ in spoken})
        if record["type"] == "RunFinished" and record["payload"]["cycles"] != cycles:
            raise WrongError(
                f"there are verdicts on {cycles} of {record['payload']['cycles']} cycles"
            )


def check_blobs(bundle: zipfile.ZipFile, own: list[Record], told: list[Record]) -> int:
    """Hold every blob to be what its name says; bars and promoted models are there, no others."""
    bars = own[0]["payload"]["data"]
    models = [one["payload"]["state"] for one in told if one["type"] == "ModelPromoted"]
    wanted = {"blobs/" + digest for digest in (bars, *models)}
    for name in sorted(wanted):
        if name not in bundle.namelist():
            kind = "the bars of the run" if name[6:] == bars else "a promoted model"
            raise WrongError(f"{name} is missing: {kind}")
        if sha256(member(bundle, name)).hex() != name[6:]:
            raise WrongError(f"{name} is not what its name says")
    for name in bundle.namelist():
        if name.startswith("blobs/") and name not in wanted:
            raise WrongError(f"{name} belongs to nothing in this run")
    return len(wanted)


def check_bars(records: Records, bars: str) -> None:
    """Hold the registration of the run's bars to be theirs, with all of its findings."""
    told = gapless(records, f"data-{bars[:16]}")
    registered = [one["payload"] for one in told if one["type"] == "DataRegistered"]
    if not registered:
        print("bars         NOT PROVEN to be registered: no record here says so")
        return
    if any(one["digest"] != bars for one in registered):
        raise WrongError("the bars in the bundle are not those that were registered")
    raised = sum(one["type"] == "DataFindingRaised" for one in told)
    if raised < registered[0]["findings"]:
        raise WrongError(
            f"{raised} of {registered[0]['findings']} findings about the bars are here"
        )
    print(f"bars         registered by position {told[0]['position']}, {raised} findings")


def closes(content: bytes) -> list[list[int]]:
    """Return the closing prices of canonical bars, in micros, by symbol and bar."""
    line, said, _ = content.split(b"\n", 2)
    head, start, found = json.loads(said), len(line) + len(said) + 2, list[list[int]]()
    rows, sessions = head["rows"], head["sessions"]
    lengths = [rows - 1, rows - 1, sessions, sessions, *[rows] * (5 * len(head["symbols"]))]
    for (name, base, unit, width), length in zip(head["columns"], lengths, strict=True):
        values = struct.unpack_from(f"<{length}{WIDTHS[width]}", content, start)
        start += width * length
        if name.startswith("close "):
            found.append([base + unit * value for value in values])
    return found


def check_balances(own: list[Record], prices: list[list[int]]) -> int:
    """Derive every validation balance, and what it came to, again from fills, costs and bars."""
    capital = round(float(own[0]["payload"]["settings"]["trading.starting_capital"]) * 1_000_000)
    count, cash, held, worth = 0, capital, [0] * len(prices), capital
    for record in own:
        said = record["payload"]
        if record["type"] in ("EvaluationStarted", "FoldTestStarted"):
            cash, held, worth = capital, [0] * len(prices), capital
        if record["type"] in ("EvaluationFinished", "FoldTestFinished"):
            hold(record, final_equity=worth, profit=worth / capital - 1.0)
        if record["type"] != "EvaluationStepTaken":
            continue
        bought = zip(said["shares"], said["prices"], said["costs"], strict=True)
        cash += said["interest"] - said["borrow"] - sum(n * p + c for n, p, c in bought)
        held = [a + b for a, b in zip(held, said["shares"], strict=True)]
        worth = cash + sum(
            n * price[said["bar"] + 1] for n, price in zip(held, prices, strict=True)
        )
        hold(record, cash=cash, positions=held, equity=worth)
        count += 3
    return count


def hold(record: Record, **due: object) -> None:
    """Hold fields of a record to be what was derived."""
    for name, value in due.items():
        said = record["payload"][name]
        said = float(said) if isinstance(value, float) else said
        if said != value:
            raise WrongError(f"position {record['position']}: {name} is {said}, must be {value}")


def print_results(own: list[Record], told: list[Record]) -> None:
    """Print what was proven about each attempt that was judged, to be read beside the report."""
    spoken = {
        (one["payload"]["cycle"], one["payload"]["attempt"]): one["payload"]["promoted"]
        for one in told
        if one["type"] == "CycleVerdict"
    }
    for record in own:
        said = record["payload"]
        if record["type"] == "EvaluationFinished":
            word = spoken.get((said["cycle"], said["attempt"]))
            verdict = {True: "promoted", False: "rejected", None: "no verdict yet"}[word]
            print(
                f"result       cycle {said['cycle']}, attempt {said['attempt']}: return "
                f"{float(said['profit']):+.2%}, hold rate {float(said['hold_rate']):.1%}, {verdict}"
            )


def check_root(bundle: zipfile.ZipFile, leaves: Leaves) -> tuple[int, bytes]:
    """Compute the root of the log from records and proof, hold it to be the one that is said."""
    with reading("proof.json"):
        proof = json.loads(member(bundle, "proof.json"))
        hashes = iter([bytes.fromhex(one) for one in proof["hashes"]])
        size, stated = proof["size"] + 0, proof["root"]
        root = root_of(leaves, hashes, size)
    if next(hashes, None) is not None or leaves.indexes[-1] >= size:
        raise WrongError("the proof does not fit the records")
    if root.hex() != stated:
        raise WrongError(f"the records lead to the root {root.hex()}, not to {stated}")
    print(f"root         {root.hex()} over {size:,} events, from records and proof")
    return size, root


def read_manifest(bundle: zipfile.ZipFile) -> tuple[str, dict[str, str]]:
    """Return the run that the manifest names, and the digests of the small files."""
    with reading("manifest.json"):
        manifest = json.loads(member(bundle, "manifest.json"))
        said, run, files = manifest["format"], manifest["run"], dict(manifest["files"])
    if said != FORMAT:
        raise CannotLookError(f"this is a bundle of format {said}; take the verify.py for that")
    return str(run), files


def check_story(bundle: zipfile.ZipFile, records: Records, run: str) -> None:
    """Hold records, decisions, blobs and balances of a run to be there and to agree."""
    with reading("records.jsonl"):
        own = check_run(records, run)
        stream = records.streams[f"run-{run}"]
        print(f"run          {run}: {stream.count:,} records without a gap")
        told = check_decisions(records, own, run)
        print(f"decisions    {len(told):,} of gates, verdicts and models, none missing in between")
        bars = own[0]["payload"]["data"]
        check_bars(records, bars)
        blobs = check_blobs(bundle, own, told)
        print(f"blobs        {blobs} of bars and models, each what its name says")
        with reading("blobs/" + bars):
            prices = closes(member(bundle, "blobs/" + bars))
        count = check_balances(own, prices)
        print(f"balances     {count:,} validation balances derived again from fills and bars")
        print_results(own, told)
    if not any(one["type"] == "RunFinished" for one in own):
        print("not proven   the run has not finished here: its last records may be left out")
    last = max([stream.last, *(one["position"] for one in told[-1:])])
    print(f"not proven   that nothing was said of the run after position {last}")
    print("not proven   report.html, README.txt and manifest.json: nobody signed them; hold the")
    print("             report to the results above, or make it again with `stairways export`")


def check(path: str, key: str | None, kept: list[str]) -> bool:
    """Print what holds, one line each; raise ``WrongError`` at the first that does not.

    Returns whether the root was held against something from outside of the bundle.
    """
    if key:
        read_key(key)
    sealed = [(file, read_kept(file)) for file in kept]
    with zipfile.ZipFile(path) as bundle:
        check_members(bundle)
        run, files = read_manifest(bundle)
        records = read_records(bundle)
        print(f"records      {len(records.leaves.indexes):,} records, rehashed one by one")
        size, root = check_root(bundle, records.leaves)
        with reading("checkpoint"):
            check_signature(bundle, key, size, root)
        for file, checkpoint in sealed:
            if checkpoint != (size, root):
                raise WrongError(f"{file} is another checkpoint than the bundle's")
            print(f"kept         {file} is the same checkpoint")
        check_story(bundle, records, run)
        for name, digest in files.items():
            if sha256(member(bundle, name)).hex() != digest:
                raise WrongError(f"{name} is not what the manifest says")
    return bool(key or kept)


def check_signature(bundle: zipfile.ZipFile, key: str | None, size: int, root: bytes) -> None:
    """Hold the checkpoint to be signed and to have the root that was computed."""
    if "checkpoint" not in bundle.namelist():
        print("signature    NONE: nobody signed the log at that size; ask for a sealed export")
        if key:
            raise WrongError("a key was given, but the bundle has no signed checkpoint")
        return
    note = member(bundle, "checkpoint").decode()
    if not key:
        if read_checkpoint(note) != (size, root):
            raise WrongError("the checkpoint is of another root")
        print("signature    NOT CHECKED: give the log's public key with --key")
        return
    if check_note(note, key) != (size, root):
        raise WrongError("the checkpoint is of another root")
    print(f"signature    by {read_key(key)[0]} is right")


def main() -> int:
    """Check the bundle that is named and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("--key", help="public key of the log or its file, from where you trust")
    parser.add_argument("--kept", action="append", default=[], help="a checkpoint you kept")
    options = parser.parse_args()
    try:
        held = check(options.bundle, options.key, options.kept)
    except WrongError as wrong:
        print(f"WRONG        {wrong}")
        return 1
    except (OSError, zipfile.BadZipFile, CannotLookError) as error:
        print(f"cannot look: {error}", file=sys.stderr)
        return 2
    if not held:
        print("NOT PROVEN   the bundle agrees with itself, and whoever made it could make it so;")
        print("             only a key or a kept checkpoint from elsewhere proves whose log it is")
        return 2
    print("everything holds, except what is named as not proven")
    return 0


if __name__ == "__main__":
    sys.exit(main())
