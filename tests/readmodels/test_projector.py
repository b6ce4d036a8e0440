import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert

from stairways.core import curves, projections
from stairways.core.values import Position, StreamName
from stairways.errors import LogUnavailableError, UnknownEventError
from stairways.readmodels import projector as projecting
from stairways.readmodels import queries, tables
from stairways.readmodels.projector import Projector, ReadModels
from stairways.readmodels.rows import cycle_rows, to_time
from stairways.store.contract import Context, Encoded
from stairways.store.opening import driver_for, open_sql_store, system_clock
from stairways.store.sql import SqlStore
from tests import made_up

RUNS = ("r1", "r2")


@pytest.fixture
def log(database_url: str, clock: Callable[[], datetime]) -> Iterator[SqlStore]:
    opened = open_sql_store(database_url, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def full(log: SqlStore) -> SqlStore:
    """A log with one registration of bars and two runs."""
    made_up.write(log, [made_up.registration()], "data")
    for run in RUNS:
        made_up.write(log, made_up.appends(run), run)
    return log


def test_the_tables_say_what_the_folds_say(full: SqlStore) -> None:
    end = Projector(full).catch_up()

    assert end == full.head().size
    for run in RUNS:
        events = made_up.events(run)
        summary, _ = queries.run_with_span(full, run) or pytest.fail("no run")
        assert summary == projections.run_summary(events)
        assert equities(full, run) == [point.equity for point in curves.pnl_curve(events)]
        margins = [row["margin"] for row in queries.controller(full, run)]
        assert margins == [point.margin for point in curves.controller_trace(events)]
    both = [*made_up.events("r1"), *made_up.events("r2")]
    assert queries.model(full, made_up.MODEL) == projections.model_state(both)


def equities(store: SqlStore, run: str) -> list[int]:
    return [row["equity"] for row in queries.pnl(store, run)]


@pytest.mark.parametrize("batch", [1, 50, 333])
def test_rows_do_not_depend_on_how_the_log_is_cut_into_batches(full: SqlStore, batch: int) -> None:
    Projector(full).catch_up()
    at_once = queries.everything(full)

    if batch == 1:
        incremental(full)
    else:
        Projector(full, batch).rebuild()

    assert queries.everything(full) == at_once


def incremental(store: SqlStore) -> None:
    """Build the tables as a follower would who looks after every append."""
    follower = Projector(store)
    generation = follower._begin()
    ends = sorted({record.append_id: record.position for record in store.read()}.values())
    for after, end in itertools.pairwise([Position(0), *ends]):
        follower._step(generation, after, end)
    assert follower._switch(generation)


def test_following_append_by_append_equals_a_rebuild(log: SqlStore) -> None:
    follower = Projector(log)
    for number, append in enumerate(made_up.appends("r1")):
        made_up.write(log, [append], f"r1-{number}")
        follower.catch_up()
    followed = queries.everything(log)

    Projector(log).rebuild()

    assert queries.everything(log) == followed


def test_catching_up_twice_changes_nothing(full: SqlStore) -> None:
    Projector(full).catch_up()
    once = queries.everything(full)

    Projector(full).catch_up()

    assert queries.everything(full) == once


def test_a_projector_that_was_overtaken_writes_nothing(
    full: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Projector(full)
    slow._begin()
    read = full.read

    def overtaken(**how: object) -> object:
        monkeypatch.setattr(full, "read", read)
        Projector(full, 50).catch_up()
        return read(**how)  # type: ignore[arg-type]  # what the projector asked for

    monkeypatch.setattr(full, "read", overtaken)
    slow.catch_up()
    overtaken_rows = queries.everything(full)

    Projector(full).rebuild()
    assert queries.everything(full) == overtaken_rows


def test_two_projectors_at_once_count_nothing_twice(full: SqlStore) -> None:
    followers = [threading.Thread(target=Projector(full, 200).catch_up) for _ in range(2)]
    for follower in followers:
        follower.start()
    for follower in followers:
        follower.join()
    together = queries.everything(full)

    Projector(full).rebuild()
    assert queries.everything(full) == together


def test_a_failure_while_writing_leaves_rows_and_position_as_they_were(
    full: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = Projector(full, 500)
    generation = follower._begin()
    follower._step(generation, Position(0), Position(500))
    assert follower._switch(generation)
    before = queries.everything(full), queries.standing(full)
    add = projecting._add

    def broken(into: object, table: object, rows: object) -> None:
        add(into, table, rows)  # type: ignore[arg-type]  # passed on as they are
        if table is tables.pnl:
            raise KeyboardInterrupt

    monkeypatch.setattr(projecting, "_add", broken)
    with pytest.raises(KeyboardInterrupt):
        follower.catch_up()

    assert (queries.everything(full), queries.standing(full)) == before


def test_tables_of_another_version_of_the_program_are_built_anew(
    full: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    Projector(full).catch_up()
    right = queries.everything(full)
    with full.driver.engine.begin() as connection:
        connection.execute(tables.run.update().values(status="out of date"))
        wrong = {**right["rm_data"][0], "position": 999_999, "generation": 1}
        connection.execute(insert(tables.data).values(wrong))

    monkeypatch.setattr(ReadModels, "version", ReadModels.version + 1)
    Projector(full).catch_up()

    assert queries.everything(full) == right


def test_a_run_s_row_says_where_in_the_log_it_lies_and_when(full: SqlStore) -> None:
    Projector(full).catch_up()

    _, second = queries.runs(full)

    own = list(full.read(stream=StreamName("run-r2")))
    assert (second["first_position"], second["last_position"]) == (
        own[0].position,
        own[-1].position,
    )
    assert to_time(second["started_at"]) == own[0].recorded_at
    assert to_time(second["last_at"]) == own[-1].recorded_at


def test_gates_keep_their_evidence_and_their_own_position(full: SqlStore) -> None:
    Projector(full).catch_up()

    row = queries.gates(full, "r1")[-1]

    record = next(full.read(after=Position(row["position"] - 1), limit=1))
    assert record.type == "GateDecided"
    assert (row["gate"], row["passed"], row["evidence"]) == ("drawdown", False, "3,4")


def test_an_account_that_may_only_read_is_told_what_to_do_or_answered(
    full: SqlStore, database_url: str
) -> None:
    reader = SqlStore(driver_for(database_url, read_only=True), system_clock, 1.0)

    with pytest.raises(LogUnavailableError, match="this account may not fill them"):
        Projector(reader).catch_up()

    Projector(full).catch_up()
    assert Projector(reader).catch_up() == full.head().size
    reader.close()


def test_a_payload_that_cannot_be_read_is_named_by_its_position(log: SqlStore) -> None:
    made_up.write(log, list(made_up.appends("r1"))[:2], "r1")
    context = Context(actor="eve", correlation="r1", append_id="odd")
    log.append(StreamName("run-r1"), None, [Encoded("CycleStarted", 1, b'{"cycle":')], context)

    with pytest.raises(UnknownEventError, match=r"^Position 3 cannot be read"):
        Projector(log).catch_up()


def test_the_migrations_make_the_tables_this_program_knows(log: SqlStore) -> None:
    url = log.driver.engine.url.render_as_string(hide_password=False)
    engine = driver_for(url).engine  # the log's own connections may not look at foreign keys
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": own})
        differences = compare_metadata(context, tables.metadata)
    engine.dispose()

    assert differences == []


def own(name: str | None, kind: str, parents: object) -> bool:  # noqa: ARG001 - Alembic's signature
    return kind != "table" or name in tables.metadata.tables


def test_the_rows_of_cycles_hold_every_field_of_the_summary() -> None:
    summary = projections.run_summary(made_up.events("r1"))

    for row in cycle_rows("r1", summary):
        assert {*row, "generation"} == set(tables.cycle.columns.keys())


def test_times_are_read_back_in_utc() -> None:
    assert to_time(1_000_001) == datetime(1970, 1, 1, 0, 0, 1, 1, UTC)


@pytest.mark.parametrize(("after", "until"), [(0, 2000), (101, 2000), (333, 334), (7, 900)])
def test_skimming_leaves_out_nothing_but_steps_inside_an_append(
    full: SqlStore, after: int, until: int
) -> None:
    between = Position(after), Position(until)
    read = list(full.read(after=between[0], until=between[1]))
    skimmed = list(full.skim(*between))
    appends: dict[str, list[Position]] = {}
    for record in read:
        if record.type == "StepTaken":
            appends.setdefault(record.append_id, []).append(record.position)

    assert len(skimmed) < len(read) or until - after < 2
    assert sorted(skimmed) == skimmed
    left_out = {record.position for record in set(read) - set(skimmed)}
    inside = {position for steps in appends.values() for position in steps[:-1]}
    assert set(skimmed) <= set(read)
    assert left_out <= inside
