"""How values look on a page: amounts, shares, times, digests and payloads.

Templates escape everything; nothing here returns markup.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from stairways import __version__
from stairways.core.values import MICROS_PER_DOLLAR
from stairways.readmodels.rows import to_time

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
POSITIONS = frozenset({"evidence", "verdict", "position", "causation", "first_position"})
MINUTE, HOUR, DAY = 60, 3600, 86400
LONGEST_LIST = 12


class Look:
    """The templates and what they may use."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=PackageLoader("stairways.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(version=__version__, address=address)
        self._templates.filters.update(
            amount=amount,
            brief=brief,
            count=count,
            dollars=dollars,
            fields=fields_of,
            part=part,
            real=real,
            share=share,
            signed=signed,
            since=since,
            time=time,
            iso=iso,
            visible=visible,
        )

    def render(self, template: str, **values: Any) -> str:  # noqa: ANN401 - what a template shows
        """Return a template filled with values."""
        return self._templates.get_template(template).render(values)


class Field(NamedTuple):
    """A field of a payload: its name, its value as text, and positions it names."""

    name: str
    text: str
    positions: tuple[int, ...]


def fields_of(said: Any) -> list[Field]:  # noqa: ANN401 - any JSON
    """Return the fields of a payload, deeper ones with dots in their names."""
    return list(_fields("", said)) if isinstance(said, Mapping) else [Field("", visible(said), ())]


def _fields(prefix: str, said: Mapping[str, Any]) -> Iterator[Field]:
    for name, value in said.items():
        if isinstance(value, Mapping) and value:
            yield from _fields(f"{prefix}{visible(name)}.", value)
        else:
            yield Field(f"{prefix}{visible(name)}", _cell(value), _positions(name, value))


def _cell(value: Any) -> str:  # noqa: ANN401 - any JSON
    if isinstance(value, list):
        return ", ".join(map(_cell, value)) or DASH
    if value is None or value == "":
        return DASH
    return visible(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _positions(name: str, value: Any) -> tuple[int, ...]:  # noqa: ANN401 - any JSON
    if name not in POSITIONS:
        return ()
    found = value if isinstance(value, list) else [value]
    return tuple(one for one in found[:LONGEST_LIST] if type(one) is int and one > 0)


def visible(text: object) -> str:
    """Return stored text with control and direction characters written out, not obeyed."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(text))


def count(number: int | None) -> str:
    """Return a whole number with its thousands set apart."""
    return DASH if number is None else f"{number:,}".replace("-", MINUS)


def real(number: float | None, places: int = 4) -> str:
    """Return a number with so many places."""
    return DASH if number is None else f"{number:.{places}f}".replace("-", MINUS)


def share(number: float | None, places: int = 1) -> str:
    """Return a share as a percentage."""
    return DASH if number is None else f"{number:.{places}%}".replace("-", MINUS)


def signed(number: float | None) -> str:
    """Return a change as a percentage with its sign."""
    return DASH if number is None else f"{number:+.2%}".replace("-", MINUS)


def amount(micros: int | None) -> str:
    """Return micros as dollars and cents."""
    return DASH if micros is None else f"{micros / MICROS_PER_DOLLAR:,.2f}".replace("-", MINUS)


def dollars(micros: int) -> str:
    """Return micros as whole dollars."""
    return f"{micros / MICROS_PER_DOLLAR:,.0f}".replace("-", MINUS)


def time(moment: datetime | int | None, places: str = "seconds") -> str:
    """Return a time, or microseconds since 1970, in UTC."""
    if moment is None:
        return DASH
    found = to_time(moment) if isinstance(moment, int) else moment.astimezone(UTC)
    return found.replace(tzinfo=None).isoformat(" ", places)


def iso(moment: datetime | int) -> str:
    """Return a time as machines read it."""
    return f"{time(moment, 'milliseconds').replace(' ', 'T')}Z"


def since(moment: datetime | int, now: datetime) -> str:
    """Return how long ago a time was, in one unit."""
    found = to_time(moment) if isinstance(moment, int) else moment
    seconds = (now - found).total_seconds()
    if seconds < 0:
        return "in the future"
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds // unit:.0f} {name} ago"
    return f"{seconds:.0f} s ago"


def brief(digest: str | None) -> str:
    """Return the beginning of a digest, enough to tell it from others by eye."""
    return visible(digest)[:12] if digest else DASH


def part(text: object) -> str:
    """Return text as one part of a path."""
    return quote(str(text), safe="", errors="backslashreplace")


def address(path: str, asked: Mapping[str, Any], **changes: Any) -> str:  # noqa: ANN401 - any parameter
    """Return the address of a page with some parameters changed."""
    pairs = [
        (name, iso(one) if isinstance(one, datetime) else str(one))
        for name, value in {**asked, **changes}.items()
        for one in (value if isinstance(value, tuple) else (value,))
        if one not in (None, "")
    ]
    return f"{path}?{urlencode(pairs, errors='backslashreplace')}" if pairs else path
