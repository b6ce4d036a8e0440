"""Check a bundle that Stairways exported, with Python alone: no installation, no database.

    python3 verify.py BUNDLE.zip --key 'example.org/log+0123abcd+AQ…' [--kept CHECKPOINT]

It rehashes every record, computes the root of the whole log from them and the proof, holds that
against the signed checkpoint (Ed25519, RFC 8032), checks that the run's records are without a
gap, that bars and models are what their names say, and derives every validation balance again
from fills and bars. Take this file, and the key, from somewhere you trust: a forger of the
bundle could change the copy inside it.

Exit codes: 0 everything holds, 1 something does not, 2 it could not look.
"""

import argparse
import base64
import bisect
import hashlib
import json
import struct
import sys
import zipfile
from collections.abc import Iterator
from typing import Any

Point = tuple[int, int, int, int]
Record = dict[str, Any]
Leaves = dict[int, bytes]

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
NEUTRAL = (0, 1, 1, 0)
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
WIDTHS = {1: "B", 2: "H", 4: "I", 8: "Q"}
SIGNATURE, KEY = 64, 33  # bytes; a key has one more that says it is Ed25519
LARGEST_FILE = 4_000_000_000


class WrongError(Exception):
    """Something in the bundle is not what it must be."""


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


def check_note(note: str, given: str) -> tuple[int, bytes]:
    """Return size and root of a C2SP checkpoint that the given key signed."""
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    name, key_hash, encoded = given.split("+", 2)
    key = base64.b64decode(encoded, validate=True)
    wanted = sha256(name.encode() + b"\n" + key)[:4]
    if wanted.hex() != key_hash or key[:1] != b"\x01" or len(key) != KEY:
        raise WrongError("the key given is no Ed25519 key of the signed-note format")
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


def root_of(leaves: Leaves, hashes: Iterator[bytes], size: int) -> bytes:
    """Compute the root of the tree from leaves by index and the proof's hashes in order."""
    places = sorted(leaves)
    stack, found = [(0, size, False)], list[bytes]()
    while stack:
        low, high, ready = stack.pop()
        if ready:
            right, left = found.pop(), found.pop()
            found.append(sha256(b"\x01" + left + right))
        elif bisect.bisect_left(places, low) == bisect.bisect_left(places, high):
            found.append(next(hashes))
        elif high - low == 1:
            found.append(leaves[low])
        else:
            middle = low + (1 << (high - low - 1).bit_length() - 1)
            stack += [(low, high, True), (middle, high, False), (low, middle, False)]
    return found.pop()


def read_records(bundle: zipfile.ZipFile) -> tuple[list[Record], Leaves]:
    """Return the records with their leaves by index, held to be canonical and in order."""
    records, leaves = list[Record](), Leaves()
    with bundle.open("records.jsonl") as lines:
        for line in lines:
            content = line.rstrip(b"\n")
            record = json.loads(content)
            again = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            if again.encode() != content:
                raise WrongError(f"record {record.get('position')} is not canonical JSON")
            index = record["position"] - 1
            if leaves and index <= records[-1]["position"] - 1:
                raise WrongError(f"record {record['position']} is out of order")
            leaves[index] = sha256(b"\x00" + content)
            records.append(record)
    return records, leaves


def check_run(records: list[Record], run: str) -> list[Record]:
    """Hold the run's own records to have no gap, and return its first."""
    own = [one for one in records if one["stream"] == "run-" + run]
    for due, record in enumerate(own, 1):
        if record["version"] != due:
            raise WrongError(
                f"record {due} of the run is missing before position {record['position']}"
            )
    if not own or own[0]["type"] != "RunStarted":
        raise WrongError(f"there is no run {run}")
    return own


def check_blobs(bundle: zipfile.ZipFile, start: Record, records: list[Record]) -> int:
    """Hold every blob to be what its name says, and the bars to be those of the run."""
    count = 0
    for entry in bundle.infolist():
        if entry.filename.startswith("blobs/"):
            if sha256(bundle.read(entry)).hex() != entry.filename[6:]:
                raise WrongError(f"{entry.filename} is not what its name says")
            count += 1
    bars = start["payload"]["data"]
    if "blobs/" + bars not in bundle.namelist():
        raise WrongError(f"the bars {bars} of the run are not in the bundle")
    registered = [one for one in records if one["type"] == "DataRegistered"]
    if registered and all(one["payload"]["digest"] != bars for one in registered):
        raise WrongError("the bars in the bundle are not those that were registered")
    return count


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
    """Derive every validation balance again from fills, costs and bars."""
    capital = round(float(own[0]["payload"]["settings"]["trading.starting_capital"]) * 1_000_000)
    count, cash, held = 0, capital, [0] * len(prices)
    for record in own:
        said = record["payload"]
        if record["type"] == "EvaluationStarted":
            cash, held = capital, [0] * len(prices)
        if record["type"] != "EvaluationStepTaken":
            continue
        bought = zip(said["shares"], said["prices"], said["costs"], strict=True)
        cash += said["interest"] - said["borrow"] - sum(n * p + c for n, p, c in bought)
        held = [a + b for a, b in zip(held, said["shares"], strict=True)]
        worth = cash + sum(
            n * price[said["bar"] + 1] for n, price in zip(held, prices, strict=True)
        )
        for name, due in (("cash", cash), ("positions", held), ("equity", worth)):
            if said[name] != due:
                raise WrongError(
                    f"position {record['position']}: {name} is {said[name]}, must be {due}"
                )
        count += 3
    return count


def check(path: str, key: str | None, kept: list[str]) -> None:
    """Print what holds, one line each; raise ``WrongError`` at the first that does not."""
    with zipfile.ZipFile(path) as bundle:
        for entry in bundle.infolist():
            if entry.file_size > LARGEST_FILE:
                raise WrongError(f"{entry.filename} is larger than {LARGEST_FILE} bytes")
        manifest = json.loads(bundle.read("manifest.json"))
        records, leaves = read_records(bundle)
        print(f"records      {len(records):,} records, rehashed one by one")
        proof = json.loads(bundle.read("proof.json"))
        hashes = iter([bytes.fromhex(one) for one in proof["hashes"]])
        size = proof["size"]
        root = root_of(leaves, hashes, size)
        if next(hashes, None) is not None or max(leaves) >= size:
            raise WrongError("the proof does not fit the records")
        if root.hex() != proof["root"]:
            raise WrongError(f"the records lead to the root {root.hex()}, not to {proof['root']}")
        print(f"root         {root.hex()} over {size:,} events, from records and proof")
        check_signature(bundle, key, size, root)
        for file in kept:
            with open(file, encoding="utf-8") as opened:
                if read_checkpoint(opened.read()) != (size, root):
                    raise WrongError(f"{file} is another checkpoint than the bundle's")
            print(f"kept         {file} is the same checkpoint")
        own = check_run(records, manifest["run"])
        print(f"run          {manifest['run']}: {len(own):,} records without a gap")
        blobs = check_blobs(bundle, own[0], records)
        print(f"blobs        {blobs} of bars and models, each what its name says")
        bars = bundle.read("blobs/" + own[0]["payload"]["data"])
        count = check_balances(own, closes(bars))
        print(f"balances     {count:,} validation balances derived again from fills and bars")
        for name, digest in manifest["files"].items():
            if sha256(bundle.read(name)).hex() != digest:
                raise WrongError(f"{name} is not what the manifest says")


def check_signature(bundle: zipfile.ZipFile, key: str | None, size: int, root: bytes) -> None:
    """Hold the checkpoint to be signed and to have the root that was computed."""
    if "checkpoint" not in bundle.namelist():
        print("signature    NONE: nobody signed the log at that size; ask for a sealed export")
        if key:
            raise WrongError("a key was given, but the bundle has no signed checkpoint")
        return
    note = bundle.read("checkpoint").decode()
    if not key:
        if read_checkpoint(note) != (size, root):
            raise WrongError("the checkpoint is of another root")
        print("signature    NOT CHECKED: give the log's public key with --key")
        return
    if check_note(note, key) != (size, root):
        raise WrongError("the checkpoint is of another root")
    print(f"signature    by {key.split('+')[0]} is right")


def main() -> int:
    """Check the bundle that is named and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("--key", help="public key of the log, from somewhere you trust")
    parser.add_argument("--kept", action="append", default=[], help="a checkpoint you kept")
    options = parser.parse_args()
    try:
        check(options.bundle, options.key, options.kept)
    except WrongError as wrong:
        print(f"WRONG        {wrong}")
        return 1
    except (OSError, zipfile.BadZipFile) as error:
        print(f"cannot look: {error}", file=sys.stderr)
        return 2
    except (KeyError, ValueError, TypeError, IndexError, StopIteration, struct.error) as error:
        print(f"WRONG        the bundle is malformed: {type(error).__name__}: {error}")
        return 1
    print("everything holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
