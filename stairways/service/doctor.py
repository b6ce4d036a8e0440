"""Whether everything is there that Stairways needs here, and if not, what is to be done.

Each check looks at one thing and answers with what it found, and advice where something should
be done. A check changes nothing and never stops the others.
"""

import ast
import os
import re
import shutil
import socket
import stat
import sys
import tempfile
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import make_url

import stairways
from stairways.core.operation import LEASE
from stairways.core.values import Position
from stairways.errors import StairwaysError
from stairways.service.operation.processes import is_gone, is_here
from stairways.service.seal import current_key
from stairways.store.opening import open_sql_store
from stairways.store.seal import read_key
from stairways.store.sql import SqlStore
from stairways.store.sqlite import file_of

Standing = Literal["ok", "warning", "problem"]

PATIENCE = 3.0
"""Seconds to wait for a database or a gateway before it counts as gone."""

LEAST_FREE, SCARCE_FREE = 256 * 2**20, 2 * 2**30
"""Bytes on a disk below which nothing can be trained, and below which to look for more."""

SKEW = timedelta(seconds=5)
"""How far two clocks may be apart before it counts."""

OF_EXTRAS = frozenset({"curl_cffi", "matplotlib", "yfinance"})
"""Modules that only what an extra brings imports; it says so itself where one is missing."""

PRIVATE = stat.S_IRWXG | stat.S_IRWXO
_NUMBER = re.compile(r"\d+")


class Check(NamedTuple):
    """What was looked at, how it stands, what was found and what to do."""

    name: str
    standing: Standing
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is to be looked at."""

    database_url: str
    shown_database: str  # fit for eyes
    clock: Callable[[], datetime]
    key: Path | None
    gateway: str | None
    scrape: tuple[str, int] | None  # address and port of the scrape endpoint
    trains: bool = False  # whether schedules are kept here, for which the log must be written


def examine(here: Surroundings) -> list[Check]:
    """Return every check; those of the log are left out while it does not open."""
    checks = [*versions(), *disks(here.database_url)]
    try:
        store = open_sql_store(
            here.database_url, clock=here.clock, patience=PATIENCE, read_only=True
        )
    except StairwaysError as error:
        checks += [_unopened(here.database_url, error), key_file(here.key)]
        is_kept = False
    else:
        try:
            checks += _of_log(store, here)
            is_kept = _is_kept(store)
        finally:
            store.close()
    return [*checks, gateway(here.gateway), scrape(here.scrape, is_kept=is_kept)]


def _is_kept(store: SqlStore) -> bool:
    """Say whether a daemon of this machine keeps a schedule of the log."""
    holders = [lease.holder.process for lease in store.leases(LEASE) if lease.holder]
    return any(is_here(process) and not is_gone(process) for process in holders)


def _sqlite_file(database_url: str) -> Path | None:
    """Return the file of a SQLite log."""
    url = make_url(database_url) if "://" in database_url else None
    if url is None or url.get_backend_name() != "sqlite" or not url.database:
        return None
    return Path(url.database)


def _unopened(database_url: str, error: StairwaysError) -> Check:
    """Return what to do about a log that does not open: nothing where it is yet to be made."""
    file = _sqlite_file(database_url)
    if file is not None and not file.exists() and os.access(file.absolute().parent, os.W_OK):
        return Check(
            "database", "warning", str(error), "`stairways init` or the first run makes it."
        )
    return Check(
        "database", "problem", str(error), "Nothing can be trained or shown before it opens."
    )


def _of_log(store: SqlStore, here: Surroundings) -> Iterator[Check]:
    size = store.head().size
    yield Check("database", "ok", f"{here.shown_database}: {size:,} events, schema and guards fit")
    yield rights(store, trains=here.trains)
    yield from clocks(store, size, here.clock())
    yield key_of_log(store, here.key)


def versions() -> Iterator[Check]:
    """Check the Python and every library against what this version of Stairways asks for."""
    yield Check("python", "ok", sys.version.partition(" ")[0])
    wrong = [*_wrong_libraries(metadata.requires("stairways") or []), *_not_importable()]
    if wrong:
        advice = "Install the pinned set: pip install -e . -c ops/constraints.txt"
        yield Check("libraries", "problem", "; ".join(wrong), advice)
    else:
        yield Check("libraries", "ok", "every library is there and new enough")


def _wrong_libraries(requirements: Sequence[str]) -> Iterator[str]:
    """Yield what is missing or too old; libraries of extras are nobody's need."""
    for requirement in requirements:
        wanted, _, marker = requirement.partition(";")
        if "extra" in marker:
            continue
        name = re.split(r"[\s\[<>=!~]", wanted, maxsplit=1)[0]
        least = re.search(r"[>=]=\s*([\w.]+)", wanted)
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield f"{name} is missing"
            continue
        if least and _numbers(installed) < _numbers(least[1]):
            yield f"{name} {installed} is older than {least[1]}"


def _not_importable() -> Iterator[str]:
    """Yield what the program imports and nobody installed, whatever its metadata say.

    The metadata are those of the day it was installed; of an editable one the source goes on.
    """
    for name in sorted(imported(Path(stairways.__file__).parent) - OF_EXTRAS):
        if find_spec(name) is None:
            yield f"the module {name} cannot be imported"


def imported(package: Path) -> set[str]:
    """Return the names of the modules of others that the sources of a package import."""
    found = set[str]()
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_bytes())):
            match node:
                case ast.Import():
                    found.update(one.name.partition(".")[0] for one in node.names)
                case ast.ImportFrom(module=str(module), level=0):
                    found.add(module.partition(".")[0])
    return found - sys.stdlib_module_names - {package.name}


def _numbers(version: str) -> list[int]:
    return [int(part) for part in _NUMBER.findall(version.partition("+")[0])]


def disks(database_url: str) -> Iterator[Check]:
    """Check the room on the disk of a SQLite file and of temporary files."""
    file = _sqlite_file(database_url)
    if file is not None:
        yield disk("disk of the log", file.absolute().parent)
    yield disk("disk for temporary files", Path(tempfile.gettempdir()))


def disk(name: str, folder: Path) -> Check:
    """Check how much room is left where ``folder`` is."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Check(name, "problem", f"{folder}: {error.strerror}", "Make the folder.")
    found = f"{folder}: {free / 2**30:.1f} GiB free"
    if free < LEAST_FREE:
        return Check(name, "problem", found, "Make room: a full disk stops training.")
    if free < SCARCE_FREE:
        return Check(name, "warning", found, "A run takes about 100 MiB; make room in time.")
    return Check(name, "ok", found)


def rights(store: SqlStore, *, trains: bool) -> Check:
    """Check that this account may write the log, and on PostgreSQL that it may no more.

    That it may not is right for a reader, and a problem where schedules are kept.
    """
    unable: Standing = "problem" if trains else "warning"
    if store.driver.name == "sqlite":
        return _file_rights(Path(file_of(store.driver.engine.url)), unable)
    may_write, owns = _roles(store)
    if not may_write:
        return Check(
            "rights", unable, "this account may read only", "Training needs stairways_writer."
        )
    if owns:
        advice = (
            "Run `stairways init --roles`, and train under a user that has stairways_writer only."
        )
        return Check("rights", "warning", "this account owns the tables it writes", advice)
    return Check("rights", "ok", "this account may append and not change")


def _roles(store: SqlStore) -> tuple[bool, bool]:
    """Say whether the account may append, and whether it could change the tables too."""
    [(may_write, owns)] = store.rows(
        "SELECT has_table_privilege('events', 'INSERT'),"
        " pg_has_role(current_user, tableowner, 'USAGE') FROM pg_tables"
        " WHERE schemaname = 'public' AND tablename = 'events'",
        (),
    )
    return bool(may_write), bool(owns)


def _file_rights(file: Path, unable: Standing) -> Check:
    for place in (file, file.absolute().parent):
        if not os.access(place, os.W_OK):
            advice = "Give this account the right to write both the file and its folder."
            return Check("rights", unable, f"{place} may only be read", advice)
    if file.stat().st_mode & stat.S_IWOTH:
        return Check("rights", "problem", f"{file} may be written by anybody", f"chmod o-w {file}")
    return Check("rights", "ok", "this account may write the file and its folder")


def clocks(store: SqlStore, size: int, now: datetime) -> Iterator[Check]:
    """Check this machine's clock against the newest record and the database's own clock."""
    newest = deque(store.read(after=Position(max(0, size - 1))), maxlen=1)
    ahead = newest[-1].recorded_at - now if newest else timedelta(0)
    if ahead > SKEW:
        advice = "Set the clock (timedatectl set-ntp true); what is recorded keeps its time."
        yield Check("clock", "problem", f"it is {ahead} behind the newest event", advice)
    else:
        yield Check("clock", "ok", f"{now:%Y-%m-%d %H:%M:%SZ}, not before the newest event")
    if store.driver.name != "sqlite":
        yield _database_clock(store, now)


def _database_clock(store: SqlStore, now: datetime) -> Check:
    [(theirs,)] = store.rows("SELECT clock_timestamp()", ())
    assert isinstance(theirs, datetime)  # noqa: S101 - the type of the function
    apart = abs(theirs - now)
    if apart > SKEW:
        advice = "Let both machines keep the time by NTP; leases are judged by the database."
        return Check("clock of the database", "warning", f"{apart} apart from ours", advice)
    return Check("clock of the database", "ok", f"{apart.total_seconds():.1f} s apart from ours")


def key_file(key: Path | None) -> Check:
    """Check the file of the key that signs checkpoints."""
    if key is None:
        advice = "Make one with `stairways keys new`, and name it in STAIRWAYS_KEY."
        return Check("key", "warning", "no key signs the log", advice)
    try:
        mode = key.stat().st_mode
        name = read_key(key).name
    except FileNotFoundError:
        advice = "Make it with `stairways keys new --name NAME FILE`, or correct STAIRWAYS_KEY."
        return Check("key", "problem", f"{key}: there is no such file", advice)
    except OSError as error:
        return Check("key", "problem", f"{key}: {error.strerror}", "Correct STAIRWAYS_KEY.")
    except StairwaysError as error:
        return Check("key", "problem", str(error), "Correct STAIRWAYS_KEY.")
    if mode & PRIVATE:
        return Check("key", "problem", f"{key} can be read by others", f"chmod 600 {key}")
    return Check("key", "ok", f"{key} signs as {name}")


def key_of_log(store: SqlStore, key: Path | None) -> Check:
    """Check that the key is the one the log is signed with, and that it was signed at all."""
    check = key_file(key)
    if check.standing != "ok" or key is None:
        return check
    try:
        current = current_key(store)
    except StairwaysError as error:
        return Check("key", "problem", str(error), "Run `stairways verify`.")
    if current is None:
        return Check("key", "warning", "the log was never signed", "Run `stairways seal`.")
    if current != read_key(key).public:
        advice = "Name the log's own key, or change it with `stairways keys rotate`."
        return Check("key", "problem", f"{key} is not the key the log is signed with", advice)
    return check


def gateway(url: str | None) -> Check:
    """Check that the Pushgateway answers, if there is to be one."""
    if url is None:
        return Check("gateway", "ok", "metrics.gateway is none: nothing is pushed")
    parts = urlsplit(url)
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    try:
        with urllib.request.urlopen(f"{place}/-/ready", timeout=PATIENCE):  # noqa: S310 - http by its setting
            return Check("gateway", "ok", f"{place} is ready")
    except urllib.error.HTTPError as error:
        return Check("gateway", "warning", f"{place} answers {error.code}", "Is it a Pushgateway?")
    except (OSError, ValueError) as error:
        advice = "Start it, or correct metrics.gateway; training goes on without."
        return Check("gateway", "warning", f"{place} does not answer: {_cause(error)}", advice)


def scrape(endpoint: tuple[str, int] | None, *, is_kept: bool) -> Check:
    """Check that the scrape endpoint answers, or that its port can be had while no daemon runs."""
    if endpoint is None:
        return Check("scrape", "ok", "metrics.port is 0: nothing is served")
    address, port = endpoint
    try:
        with socket.create_connection(endpoint, timeout=PATIENCE):
            return Check("scrape", "ok", f"somebody answers at {address}:{port}")
    except OSError:
        if is_kept:
            advice = "Correct metrics.port, or restart the daemon: it may have other settings."
            found = f"a daemon runs here, and nobody serves metrics at {address}:{port}"
            return Check("scrape", "warning", found, advice)
        return Check("scrape", "ok", f"{address}:{port} is free; no daemon serves metrics now")


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return str(getattr(reason, "strerror", None) or reason)


def worst(checks: Sequence[Check]) -> Standing:
    """Return how the worst of the checks stands."""
    order: tuple[Standing, ...] = ("problem", "warning", "ok")
    return next((one for one in order if any(c.standing == one for c in checks)), "ok")
