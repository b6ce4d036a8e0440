"""Data sets: which bars were registered, from which files, with which findings, used by whom."""

from starlette.responses import Response

from stairways.console.desk import Call, Page
from stairways.console.questions import AFTER, BEFORE, FORMAT
from stairways.core import events as e
from stairways.errors import NoSuchDataError, UnknownEventError
from stairways.readmodels.batch import decoded
from stairways.readmodels.rows import to_time
from stairways.service.audit import browsing
from stairways.service.audit.browsing import records_at
from stairways.service.audit.searching import Wanted
from stairways.service.tabular import Row
from stairways.store.contract import Record

SETS_A_PAGE = 50
KEYS = (
    "position", "name", "symbols", "frequency", "adjustment", "simulated", "first", "last",
    "rows", "findings", "digest",
)  # fmt: skip
FINDING_KEYS = ("position", "kind", "symbol", "row", "time", "detail")


def list_data(call: Call) -> Response:
    """List registrations of bars, newest first."""
    before = call.asked["before"]
    known = [row for row in call.desk.overview.data() if before is None or row["position"] < before]
    shown = [
        {**row, "first": to_time(row["first"]), "last": to_time(row["last"])}
        for row in known[:SETS_A_PAGE]
    ]
    if call.asked["format"]:
        return call.rows("data", shown, KEYS)
    older = shown[-1]["position"] if len(known) > len(shown) else None
    return call.page("data.html", sets=shown, older=older)


def show_data(call: Call) -> Response:
    """Show a data set: its sources, what the join dropped, its findings, and who used it."""
    digest = call.path("digest")
    row = next((row for row in call.desk.overview.data() if row["digest"] == digest), None)
    if row is None:
        raise NoSuchDataError(f"The log holds no bars {digest[:80]}.")
    [record] = records_at(call.desk.store, [row["position"]])
    found = browsing.page(
        call.desk.store,
        Wanted(stream=record.stream, types=("DataFindingRaised",)),
        before=call.asked["before"],
        after=call.asked["after"],
    )
    findings = list(map(_finding, found.records))
    if call.asked["format"]:
        return call.rows(f"findings-{digest[:12]}", findings, FINDING_KEYS)
    users = [run for run, summary, _ in call.desk.overview.runs() if summary.data == digest]
    return call.page(
        "data_set.html",
        event=decoded(record),
        record=record,
        found=found,
        findings=findings,
        users=users[:SETS_A_PAGE],
    )


def _finding(record: Record) -> Row:
    empty = dict.fromkeys(FINDING_KEYS)
    try:
        event = decoded(record)
    except UnknownEventError as error:
        return {**empty, "position": record.position, "detail": str(error)}
    if not isinstance(event, e.DataFindingRaised):
        return {**empty, "position": record.position}
    return {
        "position": record.position,
        "kind": event.kind,
        "symbol": event.symbol,
        "row": event.row,
        "time": event.time,
        "detail": event.detail,
    }


PAGES = (
    Page("/data", list_data, "Registered bars", (BEFORE, FORMAT)),
    Page("/data/{digest}", show_data, "A data set and its findings", (BEFORE, AFTER, FORMAT)),
)
