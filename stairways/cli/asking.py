"""What every question of ``stairways audit`` does: record, rehash, answer, say what is wrong."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
from sqlalchemy import make_url

from stairways.bootstrap import App
from stairways.cli.printing import shown
from stairways.cli.speaking import say
from stairways.errors import (
    BlobMissingError,
    LogUnavailableError,
    StairwaysError,
    UnknownEventError,
)
from stairways.service.audit import WatchedLog, record_asked
from stairways.store.opening import open_sql_store
from stairways.store.sql import SqlStore
from stairways.store.sqlite import file_of

FOUND = 1
PATIENCE = 5.0
"""Seconds that recording a question waits for a writer; the answer must not wait for ever."""


@contextmanager
def asked(app: App, question: str, **arguments: object) -> Iterator[WatchedLog]:
    """Open the log as of now to answer ``question``, which is recorded if the settings say so.

    What is damaged in the way of the answer is said on stderr, and ends the command with 1.
    """
    with app.log(read_only=True) as store:
        log = WatchedLog(store)
        if app.settings.audit.record:
            _record(app, log, f"audit {question}", arguments)
        if log.head().size <= app.settings.audit.rehash_up_to:
            log.rehash(app.database_url)
        else:
            log.complete()
            say(_not_rehashed(log))
        try:
            yield log
        except (BlobMissingError, UnknownEventError) as error:
            if not log.found.count:
                raise
            say(f"There is no answer to this: {shown(str(error))}")
        finally:
            say_damage(log)
    if log.found.count:
        raise SystemExit(FOUND)


def moment(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    """Return an ISO time; without a zone it is UTC."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{text[:80]!r} is no time such as 2026-01-07T14:30.") from error


@contextmanager
def open_to_record(app: App) -> Iterator[SqlStore]:
    """Open the log to append something about it; raises ``StairwaysError`` if that is not given.

    An append then waits only a short while for another writer.
    """
    _refuse_readers(app)
    store = open_sql_store(app.database_url, clock=app.clock, patience=PATIENCE)
    try:
        yield store
    finally:
        store.close()


def _record(app: App, log: WatchedLog, question: str, arguments: dict[str, object]) -> None:
    """Append the question; whoever may only read is told that it was not recorded."""
    try:
        with open_to_record(app) as store:
            record_asked(store, log.head(), question, arguments, app.context("audit"))
    except StairwaysError as error:
        reason = " ".join(str(error).split())
        say(f"This question was not recorded in the log: {shown(reason)}")


def _refuse_readers(app: App) -> None:
    """Raise ``LogUnavailableError`` where a file or its folder cannot be written."""
    url = make_url(app.database_url)
    if url.get_backend_name() != "sqlite":
        return
    file = Path(file_of(url)).absolute()
    if not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
        raise LogUnavailableError("this account may only read it.")


def _not_rehashed(log: WatchedLog) -> str:
    """Return what an answer from a long log is worth, and what makes it worth more."""
    last = [record.position for record in log.read(types=("LogVerified",))][-1:]
    recorded = "".join(f"the last one is recorded at position {one}" for one in last)
    when = recorded or "none is recorded (--record)"
    return (
        f"This log of {log.head().size:,} events was not rehashed whole (audit.rehash_up_to): a "
        "record whose type was changed behind the log's back may be missing here without a word. "
        f"`stairways verify` finds that; {when}."
    )


def say_damage(log: WatchedLog) -> None:
    """Say on stderr what is wrong with what was read of a log."""
    for finding in log.findings:
        say(shown(finding.sentence()))
    if log.found.count:
        say("The log is damaged; `stairways verify` says all of it.")
