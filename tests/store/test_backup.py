"""A backup is the log of one moment, in either database, and never overwrites anything."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from stairways.core.values import NEW, StreamName
from stairways.errors import LogUnavailableError, SchemaMismatchError, StairwaysError
from stairways.service.backup import back_up, restore
from stairways.service.seal import seal_log
from stairways.service.verify.checkpoints import read_checkpoint
from stairways.service.verify.log import verify_log
from stairways.store.contract import Context, Encoded
from stairways.store.opening import driver_for, open_sql_store
from stairways.store.seal import new_key

RUN = StreamName("run-1")


def by(append_id: str) -> Context:
    return Context(actor="train", correlation="run-1", append_id=append_id)


def steps(count: int) -> list[Encoded]:
    return [Encoded("StepTaken", 1, b'{"step":%d}' % number) for number in range(count)]


def fill(url: str) -> None:
    store = open_sql_store(url)
    store.append(RUN, NEW, steps(9000), by("a"))
    store.put_blob(b"weights" * 100)
    seal_log(store, new_key("example.org/log"), by("s"))
    store.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_log_comes_back_the_same_from_its_backup_into_either_database(
    database_url: str, kind: str, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    fill(database_url)
    assert back_up(database_url, tmp_path / "copy.db").clean
    target = new_database(kind)
    report = restore(tmp_path / "copy.db", target)
    assert report.clean
    assert (report.size, report.blobs, report.checkpoints) == (9002, 2, 1)  # kept roots: a blob too
    before, after = open_sql_store(database_url), open_sql_store(target)
    assert list(before.read()) == list(after.read())
    assert before.head() == after.head()
    assert after.append(RUN, None, steps(1), by("more")).first == 9003
    before.close()
    after.close()


def test_a_backup_is_the_log_of_one_moment_while_writers_go_on(
    database_url: str, tmp_path: Path
) -> None:
    fill(database_url)
    done = threading.Event()

    def write() -> None:
        store = open_sql_store(database_url)
        number = 0
        while not done.is_set():
            store.append(RUN, None, steps(7), by(f"w{number}"))
            number += 1
        store.close()

    writing = threading.Thread(target=write)
    writing.start()
    reports = [back_up(database_url, tmp_path / f"copy-{number}.db") for number in range(3)]
    done.set()
    writing.join()
    assert all(report.clean for report in reports), reports
    assert (reports[-1].size - 9002) % 7 == 0


def test_nothing_is_overwritten(database_url: str, tmp_path: Path) -> None:
    fill(database_url)
    back_up(database_url, tmp_path / "copy.db")
    with pytest.raises(LogUnavailableError, match="never overwritten"):
        back_up(database_url, tmp_path / "copy.db")
    with pytest.raises(LogUnavailableError, match="holds 9002 events"):
        restore(tmp_path / "copy.db", database_url)
    with pytest.raises(LogUnavailableError, match="no backup"):
        restore(tmp_path / "none.db", database_url)


def test_a_backup_is_one_file_whatever_an_earlier_try_left(
    database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    fill(database_url)
    killed = folder / "copy.db.part"
    fill(f"sqlite:///{killed}")
    (folder / "copy.db.part-wal").write_bytes(b"left behind" * 999)
    assert back_up(database_url, folder / "copy.db").clean
    assert [file.name for file in folder.iterdir()] == ["copy.db"]


def test_a_log_that_is_not_there_leaves_no_half_backup(
    tmp_path: Path, empty_database_url: str
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    for url in (f"sqlite:///{tmp_path}/none.db", empty_database_url):
        with pytest.raises(StairwaysError):
            back_up(url, folder / "copy.db")
    assert list(folder.iterdir()) == []


def test_a_log_of_a_newer_program_is_neither_backed_up_nor_restored(
    database_url: str, tmp_path: Path
) -> None:
    """Tables that this program does not know would be left out, and the copy called verified."""
    copy = tmp_path / "copy.db"
    store = open_sql_store(database_url)
    store.append(RUN, NEW, steps(1), by("a"))
    store.close()
    assert back_up(database_url, copy).clean
    newer = "UPDATE alembic_version SET version_num = '9999'"
    for url in (database_url, f"sqlite:///{copy}"):
        engine = driver_for(url).engine
        with engine.begin() as connection:
            connection.execute(text(newer))
        engine.dispose()

    with pytest.raises(SchemaMismatchError, match=r"schema 9999; this program knows schemas from"):
        back_up(database_url, tmp_path / "another.db")
    target = tmp_path / "target.db"
    with pytest.raises(SchemaMismatchError, match=r"schema 9999; this program knows schemas from"):
        restore(copy, f"sqlite:///{target}")
    assert [file.name for file in (tmp_path / "another.db", target) if file.exists()] == []


def test_a_backup_that_a_disk_refuses_leaves_nothing_behind(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    url, folder = f"sqlite:///{tmp_path}/log.db", tmp_path / "backups"
    folder.mkdir()
    fill(url)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (300_000, 1_000):  # while it is filled, and before it has tables
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            with pytest.raises(LogUnavailableError):
                back_up(url, folder / "copy.db")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert list(folder.iterdir()) == []


def test_a_full_disk_says_what_to_do(tmp_path: Path) -> None:
    driver = driver_for(f"sqlite:///{tmp_path}/log.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "full.db")) as full:
        full.execute("PRAGMA max_page_count = 2")
        full.execute("CREATE TABLE a (b)")
        with pytest.raises(sqlite3.OperationalError) as refused:
            full.execute("INSERT INTO a VALUES (zeroblob(100000))")
    driver.engine.dispose()

    said = str(driver.explain(refused.value))
    assert said.endswith("is full. Make room where it lies, and run the command again.")


def test_the_backup_of_a_damaged_log_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    fill(url)
    engine = driver_for(url).engine
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER events_refuse_update"))
        connection.execute(text("UPDATE events SET payload = X'7B7D' WHERE position = 77"))
    engine.dispose()
    report = back_up(url, tmp_path / "copy.db")
    assert report.first_position == 77
    assert not (tmp_path / "copy.db").exists()


def test_a_restored_older_backup_is_behind_what_was_kept(tmp_path: Path) -> None:
    url, key = f"sqlite:///{tmp_path}/log.db", new_key("example.org/log")
    store = open_sql_store(url)
    store.append(RUN, NEW, steps(10), by("a"))
    seal_log(store, key, by("s"))
    back_up(url, tmp_path / "old.db")
    store.append(RUN, None, steps(10), by("b"))
    kept = read_checkpoint(seal_log(store, key, by("t")).encode(), [key.public])
    store.close()
    restored = f"sqlite:///{tmp_path}/restored.db"
    assert restore(tmp_path / "old.db", restored).clean
    report = verify_log(restored, against=[kept])
    assert (report.first_position, report.findings[0].field) == (13, "kept checkpoint")


@pytest.mark.parametrize("what", ["junk", "another program's database", "nothing"])
def test_what_is_no_backup_is_named_and_no_log_is_made_for_it(tmp_path: Path, what: str) -> None:
    file, target = tmp_path / "given.db", tmp_path / "log.db"
    if what == "junk":
        file.write_bytes(b"junk" * 1000)
    elif what == "nothing":
        file.touch()
    else:
        with contextlib.closing(sqlite3.connect(file)) as other:
            other.execute("CREATE TABLE cookies (name)")

    with pytest.raises(LogUnavailableError, match=f"{file} is no backup of a log"):
        restore(file, f"sqlite:///{target}")

    assert not target.exists()
