"""Export a run: choose the form, write it whole or not at all, and record that it was made."""

from pathlib import Path
from typing import Literal, get_args

from stairways.core.events import ExportMade
from stairways.core.merkle import Edge
from stairways.core.values import Digest, Position, StreamName
from stairways.errors import NoSuchEventError
from stairways.service.export.bundle import write_bundle, write_lines
from stairways.service.export.report import report_page
from stairways.service.export.story import records_of
from stairways.service.export.tables import write_csv, write_parquet
from stairways.service.export.writing import digests, whole
from stairways.service.stairway.journal import encoded
from stairways.store.contract import Context, EventStore, Head
from stairways.store.sql import SqlStore

Format = Literal["parquet", "csv", "jsonl", "html", "bundle"]
FORMATS: tuple[Format, ...] = get_args(Format)
OPERATOR = StreamName("operator")


def export_run(
    log: SqlStore, run: str, form: Format, out: Path, *, replace: bool = False
) -> ExportMade:
    """Write what ``log`` says of a run to ``out`` and return the event that says so.

    ``parquet`` and ``csv`` make a folder with a file for each table, the others a file. Raises
    ``ExportError`` if it is there already or cannot be written; nothing is left of it then.
    """
    with whole(out, replace=replace) as part:
        match form:
            case "parquet":
                write_parquet(records_of(log, run), run, part)
            case "csv":
                write_csv(records_of(log, run), run, part)
            case "jsonl":
                write_lines(records_of(log, run), part)
            case "html":
                part.write_bytes(report_page(log, run))
            case "bundle":
                write_bundle(log, run, report_page(log, run), part)
    head = log.head()
    return ExportMade(run=run, format=form, files=digests(out), size=head.size, root=head.root)


def record_export(store: EventStore, made: ExportMade, context: Context) -> Position:
    """Append that an export was made."""
    return store.append(OPERATOR, None, encoded([made]), context).last


def head_at(log: SqlStore, size: int) -> Head:
    """Return size and root of the log when it had ``size`` events.

    Raises ``NoSuchEventError`` if it never had so many.
    """
    if size > log.head().size:
        raise NoSuchEventError(f"The log has {log.head().size} events; it never had {size}.")
    edge = Edge()
    for first in range(1, size + 1, 65_536):
        edge = edge.extended(log.leaves(first, min(size, first + 65_535)))
    return Head(size, Digest(edge.root().hex()))
