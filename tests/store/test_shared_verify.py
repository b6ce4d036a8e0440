"""A log is verified by several processes: they find what one finds, or it is said why not."""

import os
import signal
from concurrent.futures import Future, ProcessPoolExecutor

import pytest
from sqlalchemy import text

from stairways.core.values import StreamName
from stairways.errors import LogUnavailableError
from stairways.service.verify import log as verify
from stairways.service.verify.log import verify_log
from stairways.store.contract import Context, Encoded
from stairways.store.guards import GUARDS
from stairways.store.opening import driver_for, open_sql_store

RUN = StreamName("run-1")
DAMAGES = {
    "nothing": (),
    "a payload": ("UPDATE events SET payload = leaf WHERE position IN (3, 200)",),
    "rows": ("DELETE FROM events WHERE position BETWEEN 90 AND 110",),
    "a blob that two events name": ("DELETE FROM blobs",),
}


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let even a small log be shared out, with more ranges than may wait."""
    monkeypatch.setattr(verify, "RANGE", 4)
    monkeypatch.setattr(verify, "PROCESSES_FROM", 0)
    monkeypatch.setattr(verify, "_WAITING", 3)
    monkeypatch.setattr(verify, "_AHEAD", 1)


@pytest.fixture
def url(database_url: str) -> str:
    """A log of 302 events in appends of many sizes; 151 and 302 name a blob."""
    store = open_sql_store(database_url)
    for half in (1, 2):
        for size in (1, 2, 40, 7, 100):
            events = [Encoded("StepTaken", 1, b'{"step":%d}' % n) for n in range(size)]
            store.append(RUN, None, events, by(f"{half}-{size}"))
        state = store.put_blob(b"state" * 99)
        started = Encoded("CycleStarted", 1, b'{"cycle":1,"state":"%b"}' % state.encode())
        store.append(RUN, None, [started], by(f"{half}"))
    store.close()
    return database_url


def by(append_id: str) -> Context:
    return Context(actor="train", correlation="run-1", append_id=append_id)


def damage(url: str, statement: str) -> None:
    """Change a log as somebody with full rights can, and put the guards back."""
    engine = driver_for(url).engine
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            made = connection.execute(
                text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            ).all()
            for name, _ in made:
                connection.execute(text(f"DROP TRIGGER {name}"))
            connection.execute(text(statement))
            for _, trigger in made:
                connection.exec_driver_sql(trigger)
        else:
            for table in ("events", "blobs"):
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
            connection.execute(text(statement))
            for name, guard in GUARDS["postgresql"].items():
                table = guard.table  # type: ignore[attr-defined]  # what the catalog says
                connection.execute(text(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"))
    engine.dispose()


@pytest.mark.parametrize("what", DAMAGES)
def test_several_processes_find_what_one_finds(url: str, what: str) -> None:
    for statement in DAMAGES[what]:
        damage(url, statement)
    alone, together = verify_log(url, processes=1), verify_log(url, processes=2)
    assert together == alone
    assert (alone.size, alone.clean) == (302, what == "nothing")
    if what == "a blob that two events name":
        named = [(one.position, one.field) for one in together.findings]
        assert named == [(151, "blob of state"), (302, "blob of state")]


def test_a_helping_process_that_is_killed_is_said_and_nothing_is_called_clean(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(ProcessPoolExecutor):
        """Kills its processes as soon as there is work."""

        def submit(self, *given: object, **named: object) -> "Future[object]":  # type: ignore[override]  # any
            future: Future[object] = super().submit(*given, **named)  # type: ignore[arg-type]  # as above
            for pid in list(self._processes):
                os.kill(pid, signal.SIGKILL)
            return future

    monkeypatch.setattr(verify, "ProcessPoolExecutor", Killed)
    with pytest.raises(LogUnavailableError, match="killed, or memory ran out"):
        verify_log(url, processes=2)
