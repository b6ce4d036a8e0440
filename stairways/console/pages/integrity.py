"""Integrity: is the log what was signed, who said so last, and with which keys."""

from starlette.responses import Response

from stairways.console.desk import Call, Page
from stairways.console.proving import newest_checkpoints
from stairways.console.questions import FORMAT, position
from stairways.errors import NoSuchEventError, SealError, UnknownEventError
from stairways.readmodels import queries
from stairways.readmodels.batch import decoded
from stairways.service.audit import browsing
from stairways.service.audit.searching import Wanted
from stairways.service.seal import checkpoint_of
from stairways.service.tabular import Row
from stairways.store.contract import Record
from stairways.store.guards import QUERIES, missing_guards
from stairways.store.seal import parse_note, parse_public_key

CHECKPOINTS = 25
CHECKED = 3
"""Checkpoints that are compared with the log while a page is made."""

CHECKPOINT_KEYS = ("number", "origin", "size", "root", "signers", "leads_here", "note")
BEFORE_NUMBER = position("before", "Checkpoints before this number.")


def show_integrity(call: Call) -> Response:
    """Show head and root, guards, the last verification, replays, keys and checkpoints."""
    stored = newest_checkpoints(call.desk, CHECKPOINTS + 1, call.asked["before"])
    checkpoints = [_checkpoint(call, place, *one) for place, one in enumerate(stored[:CHECKPOINTS])]
    if call.asked["format"]:
        return call.rows("checkpoints", checkpoints, CHECKPOINT_KEYS)
    store = call.desk.store
    present = store.rows(QUERIES[store.driver.name], ())
    return call.page(
        "integrity.html",
        head=store.head(),
        missing=missing_guards(store.driver.name, present),
        verified=_newest(call, "LogVerified", 1),
        replays=_newest(call, "ReplayFinished", 8),
        keys=_newest(call, "KeyRotated", 20),
        checkpoints=checkpoints,
        older=stored[CHECKPOINTS - 1][0] if len(stored) > CHECKPOINTS else None,
        tables=queries.standing(store),
        covered=call.desk.subtrees.covered,
    )


def checkpoint_file(call: Call) -> Response:
    """Return a signed checkpoint as it was stored, to be kept elsewhere."""
    number = int(call.path("number"))
    found = newest_checkpoints(call.desk, 1, number + 1) if number < 2**31 else []
    if not found or found[0][0] != number:
        raise NoSuchEventError(f"There is no checkpoint {number}.")
    return call.file(f"checkpoint-{number}", found[0][1].encode(), "text/plain; charset=utf-8")


def _checkpoint(call: Call, place: int, number: int, note: str) -> Row:
    """Return what a checkpoint says, and for the newest whether the log still leads to it."""
    try:
        said = checkpoint_of(note)
        signers = [f"{name}+{key.hex()}" for name, key, _ in parse_note(note.encode()).signatures]
    except SealError as error:
        return {"number": number, "origin": str(error), "leads_here": False, "note": note,
                "size": None, "root": None, "signers": []}  # fmt: skip
    is_read = place < CHECKED and call.desk.subtrees.proves(min(said.size, call.size))
    return {
        "number": number,
        "origin": said.origin,
        "size": said.size,
        "root": said.root.hex(),
        "signers": signers,
        "leads_here": call.desk.subtrees.holds(said) if is_read else None,
        "note": note,
    }


def _newest(call: Call, kind: str, most: int) -> list[tuple[Record, object]]:
    """Return the newest records of a kind with their events, as far as they can be read."""
    found = []
    for record in browsing.page(call.desk.store, Wanted(types=(kind,)), rows=most).records:
        try:
            event: object = decoded(record)
        except UnknownEventError:
            continue
        if kind == "KeyRotated":
            event = {"event": event, "key": _fingerprint(getattr(event, "key", ""))}
        found.append((record, event))
    return found


def _fingerprint(text: str) -> str:
    """Return name and hash of a public key: what people compare."""
    try:
        key = parse_public_key(text)
    except SealError as error:
        return str(error)
    return f"{key.name}+{key.hash.hex()}"


PAGES = (
    Page(
        "/integrity",
        show_integrity,
        "Checkpoints, keys and verifications",
        (BEFORE_NUMBER, FORMAT),
        auditors_only=True,
    ),
    Page(
        "/integrity/checkpoints/{number:int}",
        checkpoint_file,
        "A signed checkpoint",
        auditors_only=True,
        kind="text/plain",
    ),
)
