"""What a page may be asked: every parameter has a kind, a length and a reader.

An unknown parameter is refused as a wrong one is: an auditor who mistypes a filter must not
take the unfiltered list for the answer.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stairways.codec import CLASSES
from stairways.core.values import LARGEST_WHOLE_NUMBER, Position
from stairways.errors import StairwaysError

LONGEST = 200
MOST_VALUES = 40
Answer = Mapping[str, Any]
Reader = Callable[[str], Any]

TIME_FORM = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?(Z|[+-]\d{2}:\d{2})?"
)


class QuestionRefusedError(StairwaysError):
    """A parameter of a page is unknown, too long, or not what it should be."""


@dataclass(frozen=True, slots=True)
class Question:
    """A parameter: its name, how it is read, and what is said of it."""

    name: str
    read: Reader
    meaning: str
    schema: Mapping[str, Any]
    many: bool = False


def read(questions: Sequence[Question], given: Sequence[tuple[str, str]]) -> Answer:
    """Return the value of every question; None, or an empty tuple, where none was given.

    Empty text counts as not given, as forms send it. Raises ``QuestionRefusedError``.
    """
    known = {one.name: one for one in questions}
    values: dict[str, list[Any]] = {name: [] for name in known}
    for name, text in given:
        if name not in known:
            raise QuestionRefusedError(f"There is no parameter {name[:40]!r} on this page.")
        if text:
            values[name].append(_value(known[name], text))
    for name, found in values.items():
        if len(found) > (MOST_VALUES if known[name].many else 1):
            raise QuestionRefusedError(f"{name} was given {len(found)} times.")
    return {
        name: tuple(found) if known[name].many else next(iter(found), None)
        for name, found in values.items()
    }


def _value(question: Question, text: str) -> Any:  # noqa: ANN401 - the kinds differ
    if len(text) > LONGEST:
        raise QuestionRefusedError(f"{question.name} is longer than {LONGEST} characters.")
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise QuestionRefusedError(f"{question.name} holds a character that no text has.")
    try:
        return question.read(text)
    except ValueError as error:
        raise QuestionRefusedError(f"{question.name} {error}.") from error


def text(name: str, meaning: str) -> Question:
    """Return a question that takes any short text."""
    return Question(name, str, meaning, {"type": "string", "maxLength": LONGEST})


def position(name: str, meaning: str) -> Question:
    """Return a question that takes a position of the log."""
    schema = {"type": "integer", "minimum": 1, "maximum": LARGEST_WHOLE_NUMBER}
    return Question(name, read_position, meaning, schema)


def moment(name: str, meaning: str) -> Question:
    """Return a question that takes a time; without a zone it is UTC."""
    schema = {"type": "string", "maxLength": 40, "pattern": f"^({TIME_FORM.pattern})?$"}
    return Question(name, _read_moment, meaning, schema)


def choice(name: str, choices: Sequence[str], meaning: str, *, many: bool = False) -> Question:
    """Return a question that takes one of some words, or several of them."""

    def read_choice(word: str) -> str:
        if word not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return word

    return Question(name, read_choice, meaning, {"type": "string", "enum": [*choices]}, many)


def read_position(word: str) -> Position:
    """Return a position, or raise ``ValueError``."""
    if not re.fullmatch(r"[1-9][0-9]{0,15}", word, re.ASCII) or int(word) > LARGEST_WHOLE_NUMBER:
        raise ValueError("must be a position, a whole number from 1 on")
    return Position(int(word))


def _read_moment(word: str) -> datetime:
    try:
        found = datetime.fromisoformat(word if TIME_FORM.fullmatch(word) else "")
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time such as 2026-01-07T14:30") from None


TYPES = choice("type", sorted(CLASSES), "Only this type of event; may be repeated.", many=True)
FORMAT = choice("format", ("csv", "json"), "The rows of the page as a file.")
BEFORE = position("before", "The page of what is older than this position.")
AFTER = position("after", "The page of what is newer than this position.")
