"""Somebody with full rights on the database changes it; ``verify`` must name the place.

The guards are taken away, the tables damaged, the guards put back: only the hashes are left.
"""

import os
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, reject, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Select, Table, event, text
from sqlalchemy.exc import DBAPIError

from stairways.core.values import Position, StreamName
from stairways.service import archive
from stairways.service.seal import seal_log
from stairways.service.verify import log as verify
from stairways.service.verify.log import VerifyReport, verify_log
from stairways.store import archiving
from stairways.store.contract import Context, Encoded
from stairways.store.opening import driver_for, open_sql_store, upgrade
from stairways.store.seal import new_key
from stairways.store.sql import SqlStore
from stairways.store.tables import (
    appends,
    blobs,
    checkpoints,
    events,
    head,
    metadata,
    segments,
    streams,
)

TABLES = (streams, appends, events, head, blobs, checkpoints, segments)
KINDS = ("sqlite", "postgres")

Rows = dict[str, list[dict[str, Any]]]


class Victim:
    """A small log that is damaged and repaired again and again."""

    def __init__(self, url: str) -> None:
        self.url = url
        _fill(url)
        self.engine = driver_for(url).engine
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _without_foreign_keys)
        with self.engine.connect() as connection:
            self.rows: Rows = {
                table.name: [dict(row) for row in connection.execute(ordered(table)).mappings()]
                for table in TABLES
            }

    @contextmanager
    def unguarded(self) -> Iterator[Connection]:
        """Give a connection on which every statement is obeyed."""
        with self.engine.begin() as connection:
            if self.engine.dialect.name == "sqlite":
                query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
                guards = connection.execute(text(query)).all()
                for name, _ in guards:
                    connection.execute(text(f"DROP TRIGGER {name}"))
                yield connection
                for _, statement in guards:
                    connection.exec_driver_sql(statement)
            else:
                for table in TABLES:
                    connection.execute(text(f"ALTER TABLE {table.name} DISABLE TRIGGER ALL"))
                yield connection
                for table in TABLES:
                    for guard in _guards(connection, table.name):
                        statement = f"ALTER TABLE {table.name} ENABLE ALWAYS TRIGGER {guard}"
                        connection.execute(text(statement))

    def write(self, rows: Rows) -> None:
        """Make the tables hold exactly ``rows``."""
        with self.unguarded() as connection:
            for table in reversed(TABLES):
                connection.execute(table.delete())
            for table in TABLES:
                if rows[table.name]:
                    connection.execute(table.insert(), rows[table.name])

    def verify(self) -> VerifyReport:
        return verify_log(self.url, processes=1)


def ordered(table: Table) -> Select[Any]:
    """Ask for all rows by key: PostgreSQL moves rows that were updated to the end."""
    return table.select().order_by(*table.primary_key)


def _without_foreign_keys(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA foreign_keys = OFF")


def _guards(connection: Connection, table: str) -> Sequence[str]:
    query = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = '{}'::regclass"
    return connection.execute(text(query.format(table))).scalars().all()


def _fill(url: str) -> None:
    store = open_sql_store(url)
    digest = store.put_blob(b"weights" * 50)
    bars = store.put_blob(os.urandom(64))
    registered = Encoded("DataRegistered", 1, b'{"digest":"%b"}' % bars.encode())
    key = new_key("example.org/log")
    started = Encoded("CycleStarted", 1, b'{"cycle":1,"state":"%b"}' % digest.encode())
    for number in range(9):
        stream = StreamName(("run-1", "model-a", "run-2")[number % 3])
        taken = [Encoded("StepTaken", 1, b'{"step":%d}' % step) for step in range(number % 4)]
        context = Context(actor="ada", correlation=f"c{number}", append_id=f"a{number}")
        store.append(stream, None, [started, *taken, registered], context)
        if number in (2, 5):
            seal_log(store, key, Context(actor="ada", correlation="", append_id=f"s{number}"))
    for name in ("run-1", "run-2"):
        _archive(store, StreamName(name))
    store.close()


def _archive(store: SqlStore, stream: StreamName) -> None:
    """Move the steps of a stream into segments of at most four."""

    def context() -> Context:
        return Context(actor="ada", correlation="", append_id=os.urandom(8).hex())

    for records in archive._unsealed(store, stream):
        for some in (records[:4], records[4:]):
            if some:
                archive._seal(store, stream, some, context)
    for segment in archiving.segments_of(store, stream):
        archiving.clear(store, segment, Position(0))


@pytest.fixture(scope="module", params=KINDS)
def victim(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Victim]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('attack')}/log.db"
        upgrade(url)
        victim = Victim(url)
    else:
        victim = Victim(request.getfixturevalue("module_log"))
    yield victim
    victim.engine.dispose()


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let even the small log span several ranges."""
    monkeypatch.setattr(verify, "RANGE", 8)


@dataclass
class Attack:
    """What is changed; ``position`` is the first event that is not what it was."""

    what: str
    table: str
    position: int | None
    until: int | None
    rows: Rows = field(repr=False)


def copy(rows: Rows) -> Rows:
    return {name: [dict(row) for row in table] for name, table in rows.items()}


def assert_named(report: VerifyReport, attack: Attack) -> None:
    assert not report.clean
    first = report.findings[0]
    if attack.position is None or (attack.table == "blobs" and first.field.startswith("blob ")):
        assert first.field.startswith(attack.table.removesuffix("s")), first
        return
    assert first.position is not None, first
    last = first.until or first.position
    assert first.position <= (attack.until or attack.position), first
    assert last >= attack.position, first


def first_event_of(rows: Rows, table: str, row: dict[str, Any]) -> tuple[int | None, int | None]:
    """Return the first and last event that a row is about."""
    if table == "events":
        return row["position"], row["position"]
    if table == "appends":
        return row["first"], row["last"] + 1
    if table == "streams":
        of_stream = [a for a in rows["appends"] if a["stream"] == row["id"]]
        return min(a["first"] for a in of_stream), max(a["last"] for a in of_stream) + 1
    if table == "blobs":
        held = [g["first"] for g in rows["segments"] if g["digest"] == row["digest"]]
        return (held[0], held[0]) if held else (None, None)  # its payloads are gone
    return None, None


def first_of_all(
    rows: Rows, table: str, some: Sequence[dict[str, Any]]
) -> tuple[int | None, int | None]:
    """Return the first and last event that some rows are about."""
    spans = [first_event_of(rows, table, one) for one in some]
    starts = [span[0] for span in spans if span[0] is not None]
    ends = [span[1] for span in spans if span[1] is not None]
    return (min(starts), max(ends)) if starts else (None, None)


def changed(value: object, chance: random.Random) -> object:
    """Return another value of the same type."""
    if isinstance(value, bytes) and value:
        flipped = bytearray(value)
        flipped[chance.randrange(len(value))] ^= 1 << chance.randrange(8)
        return bytes(flipped)
    if isinstance(value, bytes):
        return b"\x00"
    if isinstance(value, str):
        letters = [*value, ""]
        letters[chance.randrange(len(letters))] += chance.choice("zy")
        return "".join(letters)
    if isinstance(value, int):
        return value + chance.choice([-1, 1, 7, -value - 3, 10**6])
    return chance.choice([1, 5])


def attack_on(rows: Rows, chance: random.Random) -> Attack:
    """Return one attack on a copy of ``rows``."""
    damaged = copy(rows)
    table = chance.choice(TABLES)
    place = chance.randrange(len(rows[table.name]))
    row = damaged[table.name][place]
    what, column = chance.choice(["change", "change", "delete", "swap", "duplicate", "tail"]), ""
    first, until = first_event_of(rows, table.name, row)
    if what == "delete":
        del damaged[table.name][place]
    elif what == "tail":
        del damaged[table.name][place:]
        if table is blobs:
            first, until = first_of_all(rows, table.name, rows[table.name][place:])
    elif what == "duplicate":
        key = next(iter(table.primary_key)).name
        last = max(other[key] for other in rows[table.name])
        fresh = f"{row[key]}0" if isinstance(last, str) else last + chance.randint(1, 3)
        damaged[table.name].append({**row, key: fresh, **_unique(table.name)})
        first, until = _added(rows, table.name, fresh)
    elif what == "swap":
        other = chance.randrange(len(rows[table.name]))
        first, until = _swap(damaged[table.name], table, row, other, rows)
    else:
        column = chance.choice([column.name for column in table.columns])
        payload = column == "payload" and row[column] is None
        row[column] = b'{"step":9}' if payload else changed(row[column], chance)
    return Attack(f"{what} row {place} {column}", table.name, first, until, damaged)


def _unique(table: str) -> dict[str, Any]:
    fresh: dict[str, dict[str, Any]] = {
        "appends": {"append_id": "fresh", "version": 99},
        "streams": {"name": "fresh"},
    }
    return fresh.get(table, {})


def _added(rows: Rows, table: str, key: str | int) -> tuple[int | None, int | None]:
    """Return the first and last event that an added row is about."""
    if table == "appends":
        return int(key), int(key)
    end = max(row["position"] for row in rows["events"])
    return (end + 1, int(key)) if table == "events" else (None, None)


def _swap(
    table_rows: list[dict[str, Any]], table: Table, row: dict[str, Any], other: int, rows: Rows
) -> tuple[int | None, int | None]:
    """Swap all but the keys of two rows."""
    twin = table_rows[other]
    keys = {column.name for column in table.primary_key}
    columns = [c.name for c in table.columns if c.name not in keys]
    mine = {name: row[name] for name in columns}
    row.update({name: twin[name] for name in columns})
    twin.update(mine)
    return first_of_all(rows, table.name, (rows[table.name][other], row))


def test_every_table_of_the_log_is_attacked() -> None:
    """Leases say who may write now and are no part of it; what is derived may be thrown away."""
    assert {*metadata.tables} - {"leases"} == {table.name for table in TABLES}


def test_an_untouched_log_is_clean(victim: Victim) -> None:
    victim.write(victim.rows)
    report = victim.verify()
    assert report.clean, report.findings
    assert report.size == len(victim.rows["events"])
    assert report.blobs == 2 + len(victim.rows["segments"])
    assert sum(row["payload"] is None for row in victim.rows["events"]) == 8


attempts = settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a smaller seed is no simpler attack
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@given(seed=st.integers(0, 2**32))
@attempts
def test_every_damage_is_found_and_named(victim: Victim, seed: int) -> None:
    check_attack(victim, seed)


@pytest.mark.soak
@given(seed=st.integers(0, 2**32))
@settings(attempts, max_examples=3000)
def test_thousands_of_damages_are_found_and_named(victim: Victim, seed: int) -> None:
    check_attack(victim, seed)


def check_attack(victim: Victim, seed: int) -> None:
    attack = attack_on(victim.rows, random.Random(seed))  # noqa: S311 - a repeatable attack
    assume(attack.rows != victim.rows)
    try:
        victim.write(attack.rows)
    except DBAPIError:  # the database itself refuses, for example a number that is too large
        reject()
    assert_named(victim.verify(), attack)
