"""What the program says while it works: log lines and a progress bar on one stderr.

Data goes to stdout, remarks go here. A log line written beside a running bar would land on the
bar's line, so both print through one shared console. Tracebacks never show local variables,
which may hold secrets.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import structlog
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text
from structlog.typing import EventDict, Processor

TENTHS = 10
WITH_NOTE, WITH_TIMES, WITHOUT_TIMES = 100, 60, 44
"""Columns of a terminal that a bar's line needs with everything, without the note, and bare."""

PLACES = ("run", "cycle", "position")
"""What every line in JSON has: where in the log its figures can be found, or null."""

DIGITS = 4
"""Significant digits of a figure for eyes."""

HIDDEN = "***"
SECRET = re.compile(r"(?i)(^|_)(password|passwd|secret|token|authorization|private_key)s?$")
IN_URL = re.compile(r"(\w://[^\s/:@]*:)[^\s/]*@")
"""A password in a URL, wherever in a text."""

NARROWEST_BAR, WIDEST_BAR = 9, 40


def make_console() -> Console:
    """Return the console on stderr that log lines and the bar share."""
    return Console(stderr=True, highlight=False)


def configure(console: Console, *, level: str, style: str) -> None:
    """Send structlog and the standard library's logging to ``console``.

    ``style`` is ``json``, ``text``, or ``auto``: readable on a terminal and JSON elsewhere.
    """
    as_json = style == "json" or (style == "auto" and not console.is_terminal)
    structlog.configure(
        processors=_json_processors() if as_json else _text_processors(console),
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=lambda *_: _Lines(console, whole=as_json or not console.is_terminal),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        handlers=[_Forward()], level=max(_number(level), logging.WARNING), force=True
    )
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)  # the store tells it itself
    logging.captureWarnings(capture=True)


class Progress(Protocol):
    """Long work that says how far it is."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Count ``amount`` more done; ``note`` is a few words about now."""
        ...


@contextmanager
def progress(console: Console, title: str, total: int) -> Iterator[Progress]:
    """Show a bar on a terminal, and elsewhere one log line for every tenth of ``total``."""
    if not console.is_terminal:
        yield _ProgressLines(title, total)
        return
    columns = bar_columns(console.width)
    with RichProgress(*columns, console=console, transient=True) as bar:
        yield _ProgressBar(bar, bar.add_task(title, total=total, note=""))


def bar_columns(width: int) -> Sequence[ProgressColumn]:
    """Return what a bar's line is made of: first the note goes, then the times, never the count."""
    times = (TimeElapsedColumn(), TimeRemainingColumn()) if width >= WITH_TIMES else ()
    notes = (TextColumn("{task.fields[note]}"),) if width >= WITH_NOTE else ()
    taken = WITH_NOTE if notes else WITH_TIMES if times else WITHOUT_TIMES
    bar = BarColumn(bar_width=min(WIDEST_BAR, max(0, width - taken) + NARROWEST_BAR))
    return (TextColumn("{task.description}"), bar, MofNCompleteColumn(), *times, *notes)


@contextmanager
def waiting(console: Console, words: str) -> Iterator[None]:
    """Say on a terminal what takes a while and cannot be counted; it goes away afterwards."""
    if not console.is_terminal:
        yield
        return
    with console.status(f"{words} …"):
        yield


class _ProgressBar:
    def __init__(self, bar: RichProgress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def advance(self, amount: int = 1, note: str = "") -> None:
        self._bar.advance(self._task, amount)
        if note:
            self._bar.update(self._task, note=note)


class _ProgressLines:
    def __init__(self, title: str, total: int) -> None:
        self._title, self._total, self._done = title, total, 0

    def advance(self, amount: int = 1, note: str = "") -> None:
        before, self._done = self._tenths(), self._done + amount
        if self._tenths() > before:
            extra = {"note": note} if note else {}
            structlog.get_logger("progress").info(
                self._title, done=self._done, total=self._total, **extra
            )

    def _tenths(self) -> int:
        return self._done * TENTHS // max(self._total, 1)


class _Lines:
    """Where structlog's rendered lines go, above a running bar: ``whole``, or broken at words."""

    def __init__(self, console: Console, *, whole: bool) -> None:
        self._console, self._whole = console, whole

    def msg(self, message: str) -> None:
        safe = IN_URL.sub(rf"\g<1>{HIDDEN}@", message)  # wherever it came from, tracebacks too
        self._console.print(Text.from_ansi(safe), soft_wrap=self._whole)

    log = debug = info = warning = warn = error = critical = exception = fatal = msg


class _Forward(logging.Handler):
    """Hands the records of libraries that use ``logging`` to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info
        )


def _with_places(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Say in every line which run, cycle and position of the log it tells of, if any."""
    return {**dict.fromkeys(PLACES), **line}


def _for_eyes(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Round numbers, and leave out the places that a line does not tell of."""
    told = {name: line[name] for name in line if line[name] is not None or name not in PLACES}
    return {n: float(f"{v:.{DIGITS}g}") if isinstance(v, float) else v for n, v in told.items()}


def _without_secrets(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Hide whatever is named like a secret; those in URLs are hidden where lines are written."""
    return {name: _hidden(name, value) for name, value in line.items()}


def _hidden(name: str, value: object) -> object:
    if SECRET.search(name):
        return HIDDEN
    match value:
        case dict():
            return {key: _hidden(str(key), inner) for key, inner in value.items()}
        case list() | tuple():
            return [_hidden(name, inner) for inner in value]
        case _:
            return value


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


def _shared_processors(times: str) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt=times, utc=True),
    ]


def _json_processors() -> list[Processor]:
    return [
        *_shared_processors("iso"),
        _with_places,
        structlog.processors.format_exc_info,
        _without_secrets,
        structlog.processors.JSONRenderer(sort_keys=True),
    ]


def _text_processors(console: Console) -> list[Processor]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=console.color_system is not None,
        exception_formatter=structlog.dev.plain_traceback,
    )
    return [*_shared_processors("%Y-%m-%d %H:%M:%SZ"), _for_eyes, _without_secrets, renderer]
