"""Archiving a run: nothing a reader sees changes, nothing is lost, and nobody is in a hurry."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import pytest

from stairways.core.events import RunStarted
from stairways.core.retention import RetentionRules
from stairways.core.values import Position, StreamName
from stairways.errors import RetentionError
from stairways.service import archive as service
from stairways.service.archive import Archived, archive_run
from stairways.service.backup import back_up, restore
from stairways.service.replay.run import replay_run
from stairways.service.retention import holds, lift_hold, place_hold
from stairways.service.stairway.journal import decoded
from stairways.service.verify.log import verify_log
from stairways.store import archiving
from stairways.store.contract import Encoded, Record
from stairways.store.memory import MemoryStore
from stairways.store.opening import driver_for, open_sql_store
from stairways.store.sql import SqlStore
from stairways.store.tables import BULK_TYPES
from tests.processes import kill_after
from tests.trained import context, new_store, train, written

RUN = "r1"
STREAM = StreamName("run-r1")
AT_ONCE = RetentionRules(days=0)
WRITTEN = datetime(2026, 1, 5, tzinfo=UTC)
LATER = WRITTEN + timedelta(days=31)


@pytest.fixture(scope="module")
def trained() -> MemoryStore:
    """The log of a small run that was promised thirty days."""
    store = new_store()
    train(store)
    return store


@pytest.fixture(scope="module")
def records(trained: MemoryStore) -> Sequence[Record]:
    return list(trained.read())


@pytest.fixture
def log(database_url: str, trained: MemoryStore, records: Sequence[Record]) -> SqlStore:
    store = open_sql_store(database_url, clock=lambda: WRITTEN)
    copy_blobs(trained, store)
    written(store, records)
    return store


def copy_blobs(trained: MemoryStore, store: SqlStore) -> None:
    for content in trained._blobs.values():
        store.put_blob(content)


def archived(store: SqlStore, now: datetime = LATER) -> Archived:
    return archive_run(store, RUN, rules=AT_ONCE, now=now, context=context)


def payloads_left(store: SqlStore) -> int:
    [(count,)] = store.rows(
        "SELECT count(*) FROM events WHERE payload IS NOT NULL AND type IN (?, ?, ?)", BULK_TYPES
    )
    return int(count)


def test_every_reader_sees_an_archived_run_as_it_was(
    log: SqlStore, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before, steps = list(log.read()), payloads_left(log)
    done = archived(log)
    assert (done.events, payloads_left(log)) == (steps, 0)
    assert done.bytes_after < done.bytes_before / 5
    assert list(log.read(until=before[-1].position)) == before
    of_type = [record for record in before if record.type == "ControllerUpdated"]
    assert list(log.read(stream=STREAM, types=("ControllerUpdated",))) == of_type
    report = verify_log(database_url, processes=1)
    assert report.clean, report.findings
    assert replay_run(log, RUN).clean
    copy = tmp_path_factory.mktemp("backup") / "copy.db"
    assert back_up(database_url, copy).clean
    copied = open_sql_store(f"sqlite:///{copy}", read_only=True)
    assert list(copied.read(until=before[-1].position)) == before
    copied.close()
    log.close()


def test_an_archived_log_is_restored_into_either_database(
    log: SqlStore, database_url: str, new_log: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    archived(log)
    everything = list(log.read())
    copy = tmp_path_factory.mktemp("backup") / "copy.db"
    back_up(database_url, copy)
    for kind in ("sqlite", "postgres"):
        url = new_log(kind)
        assert restore(copy, url).clean
        store = open_sql_store(url)
        assert list(store.read()) == everything
        store.close()
    log.close()


def test_archiving_again_changes_nothing(log: SqlStore) -> None:
    archived(log)
    head = log.head()
    assert archived(log) == Archived(run=RUN, segments=0, events=0, bytes_before=0, bytes_after=0)
    assert log.head() == head
    log.close()


def test_the_room_is_given_back(log: SqlStore) -> None:
    before = archiving.size_on_disk(log)
    done = archived(log)
    archiving.reclaim(log)
    saved = done.bytes_before - done.bytes_after
    assert archiving.size_on_disk(log) < before - 0.5 * saved
    log.close()


def test_steps_of_another_run_in_between_stay_where_they_are(
    database_url: str, trained: MemoryStore, records: Sequence[Record]
) -> None:
    """Two runs write in turns; a segment of the one must not touch the other."""
    store = open_sql_store(database_url, clock=lambda: WRITTEN)
    copy_blobs(trained, store)
    appends = groupby(records, key=lambda one: (one.append_id, one.stream))
    for number, ((_, own), some) in enumerate(appends):
        events = [Encoded(one.type, one.schema, one.payload) for one in some]
        for stream in (own, StreamName("run-r2")):
            store.append(stream, None, events, replace(context(), append_id=f"{stream}{number}"))
    both, steps = list(store.read()), payloads_left(store)
    done = archived(store)
    assert payloads_left(store) == done.events == steps // 2
    assert list(store.read(until=both[-1].position)) == both
    assert verify_log(database_url, processes=1).clean
    store.close()


class PowerCutError(BaseException):
    """Stands for the moment the machine went away."""


@pytest.mark.parametrize("place", ["seal", "clear"])
@pytest.mark.parametrize("after", [False, True])
def test_a_cut_anywhere_loses_nothing_and_archiving_goes_on(
    log: SqlStore, database_url: str, place: str, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    before = list(log.read())
    whole = getattr(archiving, place)

    def cut(*given: object) -> None:
        if after:
            whole(*given)
        raise PowerCutError

    monkeypatch.setattr(archiving, place, cut)
    with pytest.raises(PowerCutError):
        archived(log)
    monkeypatch.undo()
    assert list(log.read(until=before[-1].position)) == before
    report = verify_log(database_url, processes=1)
    assert report.clean, report.findings
    archived(log)
    assert payloads_left(log) == 0
    assert list(log.read(until=before[-1].position)) == before
    assert verify_log(database_url, processes=1).clean
    log.close()


ARCHIVER = """
import itertools, sys
from datetime import UTC, datetime
from stairways.core.retention import RetentionRules
from stairways.service.archive import archive_run
from stairways.store.contract import Context
from stairways.store.opening import open_sql_store
numbers = itertools.count()
def context():
    return Context(actor="a", correlation="c", append_id=f"{sys.argv[2]}-{next(numbers)}")
store, now = open_sql_store(sys.argv[1]), datetime(2027, 1, 1, tzinfo=UTC)
print("ready", flush=True)
archive_run(store, "r1", rules=RetentionRules(days=0), now=now, context=context)
"""


def kill_an_archiver(url: str, name: str, seconds: float) -> bool:
    """Start archiving in a process of its own, kill it; False if it ended before."""
    process = subprocess.Popen(
        [sys.executable, "-c", ARCHIVER, url, name],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    process.stdout.readline()
    killed = kill_after(process, seconds)
    process.stdout.close()
    return killed


@pytest.mark.parametrize(
    "delays",
    [
        pytest.param([0.05, 0.4], id="two"),
        pytest.param([0.02 * n for n in range(40)], id="forty", marks=pytest.mark.soak),
    ],
)
def test_archivers_that_are_killed_lose_nothing(
    log: SqlStore, database_url: str, delays: Sequence[float]
) -> None:
    before = list(log.read())
    for number, delay in enumerate(delays):
        if not kill_an_archiver(database_url, str(number), delay):
            break
        assert list(log.read(until=before[-1].position)) == before
    report = verify_log(database_url, processes=1)
    assert report.clean, report.findings
    archived(log)
    assert payloads_left(log) == 0
    assert list(log.read(until=before[-1].position)) == before
    log.close()


def test_a_run_stays_until_the_date_it_was_promised(log: SqlStore) -> None:
    with pytest.raises(RetentionError, match=r"must stay until 2026-02-04 .*Nothing was moved"):
        archived(log, WRITTEN + timedelta(days=29, hours=23))
    assert payloads_left(log) > 0
    with pytest.raises(RetentionError, match="2026-04-15"):
        archive_run(log, RUN, rules=RetentionRules(days=100), now=LATER, context=context)
    archived(log, WRITTEN + timedelta(days=30))
    log.close()


def test_a_run_under_a_legal_hold_stays(log: SqlStore) -> None:
    def place(name: str, *runs: str) -> None:
        place_hold(log, name, runs, who="eve", reason="subpoena", context=context())

    place("case-7", RUN)
    with pytest.raises(RetentionError, match="legal hold case-7: subpoena"):
        archived(log)
    with pytest.raises(RetentionError, match="in force already"):
        place("case-7")
    lift_hold(log, "case-7", who="eve", reason="settled", context=context())
    place("everything")
    with pytest.raises(RetentionError, match="legal hold everything"):
        archived(log)
    with pytest.raises(RetentionError, match="no hold case-7; those in force are everything"):
        lift_hold(log, "case-7", who="eve", reason="again", context=context())
    [hold] = holds(log)
    assert (hold.name, hold.runs, hold.who) == ("everything", (), "eve")
    lift_hold(log, "everything", who="eve", reason="settled", context=context())
    archived(log)
    log.close()


@pytest.mark.parametrize("missing", ["name", "who", "reason"])
def test_a_hold_has_a_name_a_person_and_a_reason(log: SqlStore, missing: str) -> None:
    words = {"name": "n", "who": "w", "reason": "r", missing: " "}
    with pytest.raises(RetentionError, match="needs a"):
        place_hold(
            log, words["name"], (), who=words["who"], reason=words["reason"], context=context()
        )
    assert holds(log) == []
    log.close()


def test_a_hold_placed_while_archiving_stops_it(
    log: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = service._check

    def checked(*given: object) -> int:
        if not holds(log):
            place_hold(log, "late", (), who="eve", reason="now", context=context())
        return check(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(service, "_check", checked)
    steps = payloads_left(log)
    with pytest.raises(RetentionError, match="placed meanwhile"):
        archived(log)
    assert payloads_left(log) == steps
    log.close()


def test_a_run_that_is_not_closed_stays(database_url: str, records: Sequence[Record]) -> None:
    store = open_sql_store(database_url)
    written(store, [record for record in records if record.type != "RunFinished"])
    with pytest.raises(RetentionError, match="is not closed"):
        archived(store)
    store.close()


def test_a_record_that_was_changed_is_not_archived(log: SqlStore, database_url: str) -> None:
    """Its payload would be sealed as it is now, and the evidence of how it was would go."""
    [(position,)] = log.rows("SELECT max(position) FROM events WHERE type = 'StepTaken'", ())
    driver = driver_for(database_url)
    with driver.engine.begin() as connection:
        on = "" if driver.name == "sqlite" else " ON events"
        connection.exec_driver_sql(f"DROP TRIGGER events_refuse_update{on}")
        value = "x'7b7d'" if driver.name == "sqlite" else "'{}'"
        connection.exec_driver_sql(
            f"UPDATE events SET payload = {value} WHERE position = {position}"
        )
    driver.engine.dispose()
    with pytest.raises(RetentionError, match=f"position {position} is not what its leaf says"):
        archived(log)
    kept = [record.payload for record in log.read(after=Position(position - 1), limit=1)]
    assert kept == [b"{}"]
    log.close()


def test_two_archivers_do_not_seal_the_same(log: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    seal = archiving.seal

    def faster(*given: object) -> None:
        monkeypatch.undo()
        archived(log)
        seal(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(archiving, "seal", faster)
    with pytest.raises(RetentionError, match="Another process archives run-r1"):
        archived(log)
    log.close()


def test_the_run_says_in_its_first_event_how_long_it_stays(records: Sequence[Record]) -> None:
    started = decoded(records[0] if records[0].type == "RunStarted" else records[1])
    assert isinstance(started, RunStarted)
    assert started.settings["retention.days"] == "30"
