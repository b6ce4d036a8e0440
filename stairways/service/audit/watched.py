"""The log as an audit reads it: as of one moment, and rehashed while it is read."""

from collections.abc import Iterator, Sequence

from stairways.core.merkle import leaf_hash
from stairways.core.values import Digest, Position, StreamName
from stairways.errors import BlobMissingError
from stairways.service.verify.findings import Finding, Findings, shown
from stairways.service.verify.log import verify_log
from stairways.store.contract import START, Head, Record
from stairways.store.opening import PATIENCE
from stairways.store.records import record_bytes
from stairways.store.sql import SqlStore

_GAP = """
    SELECT position FROM events e WHERE position < ? AND NOT EXISTS
    (SELECT 1 FROM events n WHERE n.position = e.position + 1) ORDER BY position LIMIT 1"""


class WatchedLog(SqlStore):
    """A log that ends where it ended when it was opened, and notes damage to what it yields.

    A record whose stored hash is not the hash of its bytes, and records that are missing where
    all should come, are findings; the records are yielded as they are. ``complete`` looks for
    rows that are missing altogether, ``rehash`` at everything.
    """

    def __init__(self, store: SqlStore, end: Head | None = None) -> None:
        super().__init__(store.driver, store.clock, PATIENCE)
        self._end = end or store.head()
        self.found = Findings()

    @property
    def findings(self) -> Sequence[Finding]:
        """Return what was found so far, by position."""
        return self.found.ordered()

    def head(self) -> Head:
        """Return size and root of the log as of the moment it was opened."""
        return self._end

    def read(
        self,
        *,
        stream: StreamName | None = None,
        types: Sequence[str] = (),
        after: Position = START,
        until: Position | None = None,
        limit: int | None = None,
    ) -> Iterator[Record]:
        """Yield records as a store does, but none that came later, and note what is damaged."""
        end = Position(self._end.size if until is None else min(until, self._end.size))
        found = super().read(stream=stream, types=types, after=after, until=end, limit=limit)
        before: Record | None = None
        for record in found:
            self._rehash(record)
            if not types and before is not None:
                self._follow(before, record, whole=stream is None)
            before = record
            yield record

    def get_blob(self, digest: Digest) -> bytes:
        """Return a blob as a store does, and note one that is missing or not what it is named."""
        try:
            return super().get_blob(digest)
        except BlobMissingError:
            said = Finding(None, f"blob {digest}", "what its name says", "missing or damaged")
            if said not in self.found.kept:
                self.found.add(said)
            raise

    def complete(self) -> None:
        """Note whether rows of the log are missing, and from where on."""
        size = self._end.size
        [(rows,)] = self.rows("SELECT count(*) FROM events WHERE position BETWEEN 1 AND ?", (size,))
        if rows == size:
            return
        first = self.rows("SELECT 1 FROM events WHERE position = 1", ())
        gap = self.rows(_GAP, (size,)) if first else [(0,)]
        place = gap[0][0] + 1 if gap else size
        self.found.add(Finding(place, "events", f"{size} rows", f"{rows} rows"))

    def rehash(self, url: str) -> None:
        """Verify the whole log at ``url``, as ``stairways verify`` does, and note what is wrong.

        Blobs are left out: no answer is made of them but those that read and rehash one.
        """
        report = verify_log(url)
        self.found.extend(one for one in report.findings if not one.field.startswith("blob"))

    def _rehash(self, record: Record) -> None:
        computed = leaf_hash(record_bytes(record))
        if computed != record.leaf:
            self._note(record, "record", shown(record.leaf), shown(computed))

    def _follow(self, before: Record, record: Record, *, whole: bool) -> None:
        """Note a record that does not follow on the one read before it."""
        if whole and record.position != before.position + 1:
            self._note(record, "position", str(before.position + 1), str(record.position))
        if before.stream == record.stream and not whole and record.version != before.version + 1:
            self._note(record, "version", str(before.version + 1), str(record.version))

    def _note(self, record: Record, field: str, expected: str, actual: str) -> None:
        finding = Finding(record.position, field, expected, actual)
        if all(one.position != record.position for one in self.found.kept):
            self.found.add(finding)
