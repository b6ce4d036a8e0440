"""Hold indexes against the rows they should lead to.

Readers find events by type and appends by stream through an index. One that lacks an entry hides
a row from them, and every row and hash is still as it was.
"""

import hashlib
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from stairways.service.verify.findings import Finding
from stairways.store.catalog import OnColumns, expected_indexes
from stairways.store.driver import Row
from stairways.store.raw import RawLog
from stairways.store.tables import BULK_TYPES, NOT_BULK

_TYPE = itemgetter(1)
_PAGE = 4096
_FIELD = "index of events by type, position"

_BY_TYPE = f"""
    SELECT position, type FROM events
    WHERE {NOT_BULK} AND (type, position) > (?, ?) AND position <= ?
    ORDER BY type, position LIMIT {_PAGE}"""  # noqa: S608 - constants

_IS_OF_INDEX = ("missing from index", "entries in index", "non-unique entry", "NULL value in")
"""How ``PRAGMA integrity_check`` begins to tell of an index."""


class Fingerprint(NamedTuple):
    """How many events the index by type leads to, and the sum of their hashes, in any order."""

    events: int = 0
    total: int = 0

    def with_(self, other: "Fingerprint") -> "Fingerprint":
        """Return the fingerprint of both."""
        return Fingerprint(self.events + other.events, (self.total + other.total) % 2**256)


def fingerprint(rows: Sequence[Row]) -> Fingerprint:
    """Return the fingerprint of those of some rows that are not of a bulk type."""
    types = list(map(_TYPE, rows))
    if sum(map(types.count, BULK_TYPES)) == len(types):
        return Fingerprint()  # most ranges hold nothing but steps
    hashes = [_hash(row) for row in rows if row[1] not in BULK_TYPES]
    return Fingerprint(len(hashes), sum(hashes) % 2**256)


def _hash(row: Row) -> int:
    return int.from_bytes(hashlib.sha256(repr((row[0], row[1])).encode()).digest())


def check_indexes(log: RawLog, wanted: Fingerprint, size: int) -> Iterator[Finding]:
    """Yield which indexes do not lead to the rows that were rehashed, up to position ``size``."""
    found = Fingerprint()
    for page in _by_type(log, size):
        found = found.with_(fingerprint(page))
    if found != wanted:
        led = f"{found.events:,} events" + (", others" if found.events == wanted.events else "")
        yield Finding(None, _FIELD, f"{wanted.events:,} events", led)
    if log.driver.name == "sqlite":
        yield from _on_sqlite(log)
    else:
        for index in expected_indexes():
            if index.table not in ("events", "leases"):
                yield from _on_postgres(log, index)


def _by_type(log: RawLog, size: int) -> Iterator[Sequence[Row]]:
    """Yield the events that the index by type leads to, page by page."""
    page = log.rows_by_index(_BY_TYPE, ("", 0, size))
    while page:
        yield page
        position, type_ = page[-1][:2]
        page = log.rows_by_index(_BY_TYPE, (type_, position, size))


def _on_sqlite(log: RawLog) -> Iterator[Finding]:
    """Let SQLite hold the other tables' rows against its indexes."""
    for table in sorted({index.table for index in expected_indexes()} - {"events", "leases"}):
        for (said,) in log.rows(f"PRAGMA integrity_check({table})"):
            if any(words in said for words in _IS_OF_INDEX):
                yield Finding(None, f"indexes of {table}", "all rows", said)


def _on_postgres(log: RawLog, index: OnColumns) -> Iterator[Finding]:
    """Compare what a table holds, read block by block, with what the index leads to."""
    columns, table = index.columns, index.table
    summed = f"SELECT count(*) AS rows, sum(hashtextextended(ROW({columns})::text, 0)) AS hashes"
    by_index = f"SELECT {columns} FROM {table} ORDER BY {columns} OFFSET 0"  # noqa: S608 - constants
    held, led, is_same = log.rows_by_index(
        "SELECT held.rows, led.rows, held IS NOT DISTINCT FROM led"  # noqa: S608 - constants
        f" FROM ({summed} FROM {table} TABLESAMPLE SYSTEM (100)) held,"
        f" ({summed} FROM ({by_index}) AS every) led"
    )[0]
    if not is_same:
        yield Finding(None, str(index), f"{held:,} rows", f"{led:,} rows, or others")
