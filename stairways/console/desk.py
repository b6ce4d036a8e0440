"""What every page works with: the log, what it adds up to, the door, and the look of things."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from stairways.console.look import Look
from stairways.console.people import Door, Person
from stairways.console.questions import Question
from stairways.console.rules import ConsoleRules
from stairways.core.values import Position, digest_of
from stairways.service.audit.overview import Overview
from stairways.service.tabular import Row, csv_lines, json_lines
from stairways.service.verify.subtrees import Subtrees
from stairways.store.sql import SqlStore

Noted = Callable[[str, Mapping[str, str]], None]
"""Records that somebody asked something: a question and its arguments."""


def only_say(question: str, arguments: Mapping[str, str]) -> None:
    """Say in the program's own log who asked what."""
    structlog.get_logger("console").info(question, **arguments)


@dataclass(slots=True)
class Desk:
    """Everything a page needs."""

    store: SqlStore
    rules: ConsoleRules
    clock: Callable[[], datetime]
    door: Door
    shown_database: str = ""
    note: Noted = only_say
    look: Look = field(default_factory=Look)
    overview: Overview = field(init=False)
    subtrees: Subtrees = field(init=False)

    def __post_init__(self) -> None:
        self.overview = Overview(self.store)
        self.subtrees = Subtrees(self.store)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a page, read and checked."""

    desk: Desk
    person: Person
    request: Request
    asked: Mapping[str, Any]
    size: Position  # events in the log now

    def path(self, name: str) -> str:
        """Return a part of the path by name."""
        return str(self.request.path_params[name])

    def page(self, template: str, **values: Any) -> Response:  # noqa: ANN401 - what a template shows
        """Return a page, with what the frame around every page shows."""
        return HTMLResponse(self.desk.look.render(template, **self._frame(), **values))

    def rows(self, name: str, rows: Sequence[Row], keys: Sequence[str]) -> Response:
        """Return the rows of a page as a file, and note that they were taken."""
        form = self.asked["format"]
        lines = csv_lines(rows, keys) if form == "csv" else _lines(json_lines(rows, keys))
        content = "".join(lines).encode(errors="backslashreplace")
        kind = "text/csv; charset=utf-8" if form == "csv" else "application/json"
        return self.file(f"{name}.{form}", content, kind)

    def file(self, name: str, content: bytes, kind: str) -> Response:
        """Return a file to be saved, and note that it was taken."""
        self.note("console export", file=name, sha256=digest_of(content))
        return Response(
            content,
            media_type=kind,
            headers={"Content-Disposition": f'attachment; filename="{_file_name(name)}"'},
        )

    def note(self, question: str, **arguments: str) -> None:
        """Note who asked what, and with which address of the page."""
        asked = self.request.url.path + ("?" + self.request.url.query).rstrip("?")
        who = {"who": self.person.name, "role": self.person.role, "page": asked[:500]}
        self.desk.note(question, {**who, **arguments})

    def note_page(self, page: "Page") -> None:
        """Note that a page was asked for; a file is noted with its digest where it is made."""
        if page.kind == "text/html" and not page.is_part and not self.asked.get("format"):
            self.note("console page")

    def _frame(self) -> dict[str, Any]:
        overview = self.desk.overview
        return {
            "person": self.person,
            "size": self.size,
            "known_to": overview.position,
            "damaged": overview.damaged,
            "path": self.request.url.path,
            "query": self.request.url.query,
            "asked": self.asked,
            "now": self.desk.clock(),
            "database": self.desk.shown_database,
        }


@dataclass(frozen=True, slots=True)
class Page:
    """A page: where it is, what it may be asked, who may see it, and how it is answered."""

    path: str
    answer: Callable[[Call], Response]
    summary: str
    questions: Sequence[Question] = ()
    auditors_only: bool = False
    kind: str = "text/html"
    is_part: bool = False  # of a page that was asked for already, and is asked for again by itself


def _lines(lines: Any) -> Any:  # noqa: ANN401 - an iterator of text
    return (f"{line}\n" for line in lines)


def _file_name(name: str) -> str:
    """Return a name that no header and no file system takes amiss."""
    return "".join(
        letter if letter.isascii() and letter.isalnum() else _kept(letter) for letter in name
    )


def _kept(letter: str) -> str:
    return letter if letter in "._-" else "_"
