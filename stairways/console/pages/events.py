"""Events: the log in pages, and one record with its proof."""

from starlette.responses import Response

from stairways.codec import CLASSES
from stairways.console.desk import Call, Page
from stairways.console.elsewhere import script
from stairways.console.proving import covering, is_intact, proven, record_of
from stairways.console.questions import (
    AFTER,
    BEFORE,
    FORMAT,
    LONGEST,
    TYPES,
    moment,
    position,
    read_position,
    text,
)
from stairways.core.values import Position
from stairways.errors import NoSuchEventError, SealError
from stairways.service.audit import browsing, payload
from stairways.service.audit.searching import Wanted
from stairways.service.audit.sentences import sentence
from stairways.service.tabular import Row
from stairways.store.contract import Record
from stairways.store.records import record_bytes
from stairways.store.seal import Proof

FILTERS = (
    text("run", "Only what belongs to this run."),
    text("stream", "Only this stream."),
    TYPES,
    text("actor", "Only what this person or program recorded."),
    text("correlation", "Only what belongs to this run or command."),
    position("causation", "Only what this position caused."),
    moment("since", "Recorded at or after this time."),
    moment("until", "Recorded before this time."),
    position("first", "Only from this position on."),
    position("last", "Only up to this position."),
)
KEYS = (
    "position", "recorded_at", "stream", "version", "type", "schema", "actor", "correlation",
    "causation", "append_id", "leaf", "payload",
)  # fmt: skip
GIST = 140
CAUSED = 20


def list_events(call: Call) -> Response:
    """List records that pass the filters, newest first."""
    asked = call.asked
    found = browsing.page(
        call.desk.store, _wanted(call), before=asked["before"], after=asked["after"]
    )
    if asked["format"]:
        return call.rows("events", list(map(_row, found.records)), KEYS)
    return call.page(
        "events.html",
        found=found,
        rows=[(record, gist(record), is_intact(record)) for record in found.records],
        types=sorted(CLASSES),
        filtered=[name for name, value in asked.items() if value and name not in PLACES],
    )


PLACES = ("before", "after", "format")


def show_event(call: Call) -> Response:
    """Show a record: what it says, whether it is what was hashed, and how to check it."""
    record = record_of(call.desk, _position(call))
    caused = browsing.page(
        call.desk.store,
        Wanted(causation=record.position, first=record.position),
        rows=CAUSED,
    )
    return call.page(
        "event.html",
        record=record,
        said=payload(record),
        words=sentence(record),
        raw=record_bytes(record).decode(errors="backslashreplace"),
        proof=proven(call.desk, record),
        caused=caused,
    )


def proof(call: Call) -> Response:
    """Return the proof that a record is under the newest signed checkpoint."""
    at, made = _proved(call)
    return call.file(f"{at}.tlog-proof", str(made).encode(), "text/plain; charset=utf-8")


def check_file(call: Call) -> Response:
    """Return a shell script that checks the proof with openssl."""
    at, made = _proved(call)
    return call.file(f"check-{at}.sh", script(made).encode(), "text/x-shellscript; charset=utf-8")


def record_file(call: Call) -> Response:
    """Return the bytes of a record whose leaf hash is in the log."""
    record = record_of(call.desk, _position(call))
    return call.file(f"{record.position}.json", record_bytes(record), "application/json")


def _proved(call: Call) -> tuple[Position, Proof]:
    """Return a position and the proof of its record, or raise ``SealError``."""
    at = record_of(call.desk, _position(call)).position
    note = covering(call.desk, at)
    if note is None:
        raise SealError(f"No signed checkpoint covers {at} yet; `stairways seal` signs one.")
    return at, call.desk.subtrees.proof(at, note)


def gist(record: Record) -> str:
    """Return what an event says in one line, cut where it is long."""
    words = sentence(record)
    return words if len(words) <= GIST else f"{words[: GIST - 1]}\N{HORIZONTAL ELLIPSIS}"


def _wanted(call: Call) -> Wanted:
    asked = call.asked
    return Wanted(
        run=asked["run"] or "",
        stream=asked["stream"] or "",
        types=asked["type"],
        actor=asked["actor"] or "",
        correlation=asked["correlation"] or "",
        causation=asked["causation"],
        since=asked["since"],
        until=asked["until"],
        first=asked["first"] or 1,
        last=asked["last"],
    )


def _row(record: Record) -> Row:
    return {**record._asdict(), "leaf": record.leaf.hex(), "payload": payload(record)}


def _position(call: Call) -> Position:
    given = call.path("position")
    try:
        return read_position(given[:LONGEST])
    except ValueError as error:
        raise NoSuchEventError(f"There is no position {given[:40]}.") from error


PAGES = (
    Page(
        "/events",
        list_events,
        "Records, newest first",
        (*FILTERS, BEFORE, AFTER, FORMAT),
        auditors_only=True,
    ),
    Page("/events/{position}", show_event, "A record and its proof", auditors_only=True),
    Page(
        "/events/{position}/proof", proof, "A record's proof", auditors_only=True, kind="text/plain"
    ),
    Page(
        "/events/{position}/check",
        check_file,
        "A script that checks the proof",
        auditors_only=True,
        kind="text/x-shellscript",
    ),
    Page(
        "/events/{position}/record",
        record_file,
        "A record's bytes",
        auditors_only=True,
        kind="application/json",
    ),
)
