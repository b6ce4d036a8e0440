"""The value of one setting: read strictly from TOML or text, and written as canonical text."""

import math
import re
import types
import typing
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Literal

from stairways.core.values import MICROS_PER_DOLLAR, Micros, is_utf8


def read(hint: object, value: object) -> object:
    """Return ``value`` as the annotated type; raises ``ValueError`` saying what was expected."""
    if hint is Micros:
        return _read_dollars(value)
    hint = getattr(hint, "__supertype__", hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return _choice(arguments, value)
    if origin is tuple:
        return _items(arguments, value)
    if origin in (types.UnionType, typing.Union):
        inner = next(one for one in arguments if one is not types.NoneType)
        return None if value == "none" else read(inner, value)
    return _SCALARS[typing.cast("type", hint)](value)


def _choice(choices: tuple[object, ...], value: object) -> object:
    for choice in choices:
        if value == choice:
            return choice
    raise ValueError(f"must be one of {', '.join(map(str, choices))}, not {value!r}")


def _items(arguments: tuple[object, ...], value: object) -> tuple[object, ...]:
    """Return a tuple read from a TOML list or from text with commas."""
    items = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(items, list):
        raise ValueError(f"must be a list, not {value!r}")  # noqa: TRY004 - one error for the caller
    items = [] if items == [""] else items
    if Ellipsis not in arguments and len(items) != len(arguments):
        raise ValueError(f"must have {len(arguments)} items, not {len(items)}")
    return tuple(read(arguments[0], item) for item in items)


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {value!r}")  # noqa: TRY004 - one error for the caller
    if not is_utf8(value):
        raise ValueError(f"must be UTF-8 text, not {value!a}")
    return value


def _read_flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise ValueError(f"must be true or false, not {value!r}")


def _read_whole(value: object) -> int:
    if type(value) is int:
        return value
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d[\d_]*", value):
        return int(value)
    raise ValueError(f"must be a whole number, not {value!r}")


def _read_real(value: object) -> float:
    try:
        number = float(value) if type(value) in (int, float, str) else math.nan  # type: ignore[arg-type] # types just checked
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"must be a finite number, not {value!r}")
    return number


def _read_dollars(value: object) -> Micros:
    """Return an amount of dollars as micros; more than six places are refused, not rounded."""
    try:
        micros = Decimal(str(value)) * MICROS_PER_DOLLAR
        whole = int(micros)
    except (InvalidOperation, ValueError, OverflowError):
        raise ValueError(f"must be an amount of dollars, not {value!r}") from None
    if isinstance(value, bool) or whole != micros:
        raise ValueError(f"must be an amount of dollars in millionths, not {value!r}")
    return Micros(whole)


_SCALARS: dict[type, Callable[[object], object]] = {
    str: _read_text,
    bool: _read_flag,
    int: _read_whole,
    float: _read_real,
}


def text_of(hint: object, value: object) -> str:
    """Return a value of the annotated type as the text that reads back the same."""
    if hint is Micros and isinstance(value, int):
        return _dollars(value)
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case tuple():
            return ",".join(text_of(None, item) for item in value)
        case _:
            return str(value)


def _dollars(micros: int) -> str:
    """Return micros as the shortest exact decimal number of dollars."""
    whole, rest = divmod(abs(micros), MICROS_PER_DOLLAR)
    text = f"{whole}.{rest:06d}".rstrip("0").rstrip(".")
    return f"-{text}" if micros < 0 else text
