"""Schedules in the settings: tables ``[schedule.NAME]``, each with changes for its own runs."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from stairways.errors import SettingsError

if TYPE_CHECKING:
    from stairways.settings import Given

PREFIX = "schedule."
CHANGES = "settings"
"""The table of a schedule that changes settings for its runs."""


def split(given: Sequence["Given"]) -> tuple[list["Given"], dict[str, list["Given"]]]:
    """Return what was given about everything else, and about each schedule by its name."""
    others = [one for one in given if not one.name.startswith(PREFIX)]
    named: dict[str, list[Given]] = {}
    for one in given:
        if one.name.startswith(PREFIX):
            name, _, key = one.name.removeprefix(PREFIX).partition(".")
            named.setdefault(_checked(name, one.origin), []).append(one._replace(name=key))
    return others, named


def values(
    file: str, tables: Mapping[str, object], make: Callable[[str, object, str], "Given"]
) -> Iterator["Given"]:
    """Yield every value of the tables ``[schedule.NAME]`` of a file."""
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise SettingsError(f"{file}: write [schedule.NAME], not schedule.{name}.")
        for key, value in table.items():
            if key == CHANGES and isinstance(value, dict):
                for changed, to in _flat(value):
                    yield make(f"{PREFIX}{name}.{CHANGES}.{changed}", to, file)
            else:
                yield make(f"{PREFIX}{name}.{key}", value, file)


def _flat(table: Mapping[str, object], before: str = "") -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _checked(name: str, origin: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
        raise SettingsError(
            f"{origin}: the schedule {name!r} must be letters, digits, dashes and underscores, "
            "64 at most."
        )
    return name
