"""The tables of the log, as SQLAlchemy Core knows them. Migrations make them; a test compares.

``appends`` holds once what all events of one append share, so that a row of ``events`` is
small and quick to write; the view ``records`` joins them for people. All tables of the log but
``head`` refuse UPDATE, DELETE and TRUNCATE by triggers; ``guards.py`` has them. ``leases`` is no
part of the log: it says who may write now.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

BULK_TYPES = ("ControllerUpdated", "EvaluationStepTaken", "StepTaken")
"""Events so frequent that finding them by type needs no index; all others have one."""

APPEND_ONLY = ("streams", "appends", "events", "blobs", "checkpoints", "segments")
"""Tables whose rows are never changed nor removed, but for payloads that a segment holds."""

NOT_BULK = " AND ".join(f"type <> '{name}'" for name in BULK_TYPES)
"""What the index by type covers. (With NOT IN, SQLite would build a table for every row.)"""

metadata = MetaData()

_Whole = BigInteger().with_variant(Integer, "sqlite")

streams = Table(
    "streams",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
    sqlite_strict=True,
)

appends = Table(
    "appends",
    metadata,
    Column("first", _Whole, primary_key=True, autoincrement=False),
    Column("last", _Whole, nullable=False),
    Column("stream", Integer, ForeignKey("streams.id"), nullable=False),
    Column("version", _Whole, nullable=False),  # of the first event
    Column("recorded_at", _Whole, nullable=False),  # microseconds since 1970 UTC
    Column("actor", Text, nullable=False),
    Column("correlation", Text, nullable=False),
    Column("causation", _Whole),
    Column("append_id", Text, nullable=False, unique=True),
    Column("root", LargeBinary, nullable=False),  # of the whole log after this append
    CheckConstraint("first <= last", name="appends_hold_events"),
    UniqueConstraint("stream", "version"),
    sqlite_strict=True,
)
Index("appends_of_stream", appends.c.stream, appends.c.first)

events = Table(
    "events",
    metadata,
    Column("position", _Whole, primary_key=True, autoincrement=False),
    Column("type", Text, nullable=False),
    Column("schema", Integer, nullable=False),
    Column("payload", LargeBinary),  # null once a segment holds it
    Column("leaf", LargeBinary, nullable=False),
    sqlite_strict=True,
)
Index(
    "events_by_type",
    events.c.type,
    events.c.position,
    sqlite_where=text(NOT_BULK),
    postgresql_where=text(NOT_BULK),
)

head = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", _Whole, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("edge", LargeBinary, nullable=False),
    CheckConstraint("id = 1", name="one_head"),
    sqlite_strict=True,
)

blobs = Table(
    "blobs",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("size", _Whole, nullable=False),
    Column("encoding", Text, nullable=False),  # identity, zstd+sha256
    Column("content", LargeBinary, nullable=False),
    sqlite_strict=True,
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("note", LargeBinary, nullable=False),  # a C2SP signed note
    sqlite_strict=True,
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text),  # null when it was given back
    Column("process", Text),
    Column("epoch", _Whole, nullable=False),
    Column("beat", _Whole, nullable=False),
    Column("seconds", _Whole, nullable=False),
    Column("renewed_at", _Whole, nullable=False),  # microseconds; for people, decides nothing
    sqlite_strict=True,
)

segments = Table(
    "segments",
    metadata,
    Column(
        "position", _Whole, ForeignKey("events.position"), primary_key=True, autoincrement=False
    ),  # of the event SegmentSealed that says the same
    Column("stream", Integer, ForeignKey("streams.id"), nullable=False),
    Column("type", Text, nullable=False),
    Column("schema", Integer, nullable=False),
    Column("first", _Whole, nullable=False),
    Column("last", _Whole, nullable=False),
    Column("events", _Whole, nullable=False),
    Column("digest", Text, ForeignKey("blobs.digest"), nullable=False),
    CheckConstraint("first <= last", name="segments_hold_events"),
    sqlite_strict=True,
)
Index("segments_by_last", segments.c.last, segments.c.first)
