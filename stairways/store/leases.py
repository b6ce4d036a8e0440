"""Leases in a SQL database: one row each, claimed under the lock of the log's head.

Whoever claims waits for appends under way, and whoever appends waits for a claim, so that no
append under an old epoch is committed after the claim of a new one. No clock decides: a row
changes hands only if it is still as the claimer saw it.
"""

from collections.abc import Sequence

from stairways.errors import LeaseLostError
from stairways.store.contract import Fence, Holder, Lease
from stairways.store.database import Database
from stairways.store.driver import Connection, Row
from stairways.store.records import to_microseconds

_COLUMNS = "name, holder, process, epoch, beat, seconds"
_ALL = f"SELECT {_COLUMNS} FROM leases WHERE substr(name, 1, ?) = ? ORDER BY name"  # noqa: S608
_ONE = f"SELECT {_COLUMNS} FROM leases WHERE name = ?"  # noqa: S608
_EPOCH = "SELECT epoch, holder FROM leases WHERE name = ?"
_INSERT = """
    INSERT INTO leases (epoch, beat, holder, process, seconds, renewed_at, name)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
_CLAIM = """
    UPDATE leases SET epoch = ?, beat = ?, holder = ?, process = ?, seconds = ?, renewed_at = ?
    WHERE name = ?"""
_RENEW = "UPDATE leases SET beat = beat + 1, renewed_at = ? WHERE name = ? AND epoch = ?"
_RELEASE = """
    UPDATE leases SET holder = NULL, process = NULL, beat = beat + 1, renewed_at = ?
    WHERE name = ? AND epoch = ?"""


def lost(fence: Fence, holder: str | None) -> LeaseLostError:
    """Return the error for an append under an epoch that is over."""
    return LeaseLostError(
        f"This process no longer holds {fence.lease}: {holder or 'another one'} has taken over. "
        "It stops here; what it recorded stays."
    )


def all_leases(database: Database, prefix: str) -> Sequence[Lease]:
    """Return the leases whose name starts with ``prefix``."""
    return [_lease(row) for row in database.rows(_ALL, (len(prefix), prefix))]


def claim(
    database: Database, name: str, seen: Lease | None, holder: Holder, seconds: int
) -> Lease | None:
    """Take a lease under the next epoch; None if it is no more as it was ``seen``."""
    taken = Lease(name, holder, 1 if seen is None else seen.epoch + 1, 0, seconds)

    def work(connection: Connection) -> Lease | None:
        database.driver.lock_head(connection)
        row = connection.execute(database.driver.sql(_ONE), (name,)).fetchone()
        standing = None if row is None else _lease(row)
        if standing == taken:  # the answer to the first try was lost
            return taken
        if standing != seen:
            return None
        statement = _INSERT if standing is None else _CLAIM
        values = (taken.epoch, taken.beat, *holder, seconds, _now(database), name)
        connection.execute(database.driver.sql(statement), values)
        connection.commit()
        return taken

    return database.run(work)


def renew(database: Database, held: Sequence[Lease]) -> Sequence[Lease]:
    """Let each lease beat once and return those that are still held."""

    def work(connection: Connection) -> list[Lease]:
        database.driver.begin(connection)
        for lease in held:
            values = (_now(database), lease.name, lease.epoch)
            connection.execute(database.driver.sql(_RENEW), values)
        rows = [
            connection.execute(database.driver.sql(_ONE), (one.name,)).fetchone() for one in held
        ]
        connection.commit()
        return [_lease(row) for row in rows if row is not None]

    known = {(lease.name, lease.epoch) for lease in held}
    return [lease for lease in database.run(work) if (lease.name, lease.epoch) in known]


def release(database: Database, held: Sequence[Lease]) -> None:
    """Give leases back; one that somebody else has claimed meanwhile stays his."""

    def work(connection: Connection) -> None:
        database.driver.begin(connection)
        for lease in held:
            values = (_now(database), lease.name, lease.epoch)
            connection.execute(database.driver.sql(_RELEASE), values)
        connection.commit()

    database.run(work)


def check_fence(database: Database, connection: Connection, fence: Fence | None) -> None:
    """Raise ``LeaseLostError`` if the epoch of ``fence`` is over; the head must be locked."""
    if fence is None:
        return
    row = connection.execute(database.driver.sql(_EPOCH), (fence.lease,)).fetchone()
    if row is None or row[0] != fence.epoch:
        raise lost(fence, row[1] if row else None)


def _lease(row: Row) -> Lease:
    name, holder, process, epoch, beat, seconds = row
    return Lease(name, None if holder is None else Holder(holder, process), epoch, beat, seconds)


def _now(database: Database) -> int:
    return to_microseconds(database.clock())
