"""Events as canonical bytes and back: stored names, schema versions, upcasters.

A payload is canonical JSON (RFC 8785) whose numbers are whole numbers of at most 2**53 - 1;
a real number is a string, the shortest decimal that reads back the same bits, so that every
language canonicalises it identically. The stored name of an event is listed here and not
taken from its class: renaming a class never rewrites history.
"""

import dataclasses
import functools
import itertools
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import orjson

from stairways.core import events
from stairways.core.events import Event
from stairways.core.values import LARGEST_WHOLE_NUMBER
from stairways.errors import NotCanonicalError, UnknownEventError

Json = dict[str, "Json"] | list["Json"] | str | int | bool | None
Upcaster = Callable[[dict[str, Json]], dict[str, Json]]
Column = npt.NDArray[np.generic] | Sequence[str]

SCHEMAS: dict[type, tuple[str, int]] = {
    events.DataRegistered: ("DataRegistered", 1),
    events.DataFindingRaised: ("DataFindingRaised", 1),
    events.RunStarted: ("RunStarted", 1),
    events.RunResumed: ("RunResumed", 1),
    events.RunFinished: ("RunFinished", 1),
    events.RunFailed: ("RunFailed", 1),
    events.RunStopped: ("RunStopped", 1),
    events.CycleStarted: ("CycleStarted", 1),
    events.CycleFinished: ("CycleFinished", 1),
    events.StepTaken: ("StepTaken", 1),
    events.ControllerUpdated: ("ControllerUpdated", 2),
    events.BalanceAsserted: ("BalanceAsserted", 1),
    events.PolicyUpdated: ("PolicyUpdated", 2),
    events.DivergenceDetected: ("DivergenceDetected", 1),
    events.ModelRolledBack: ("ModelRolledBack", 2),
    events.EvaluationStarted: ("EvaluationStarted", 2),
    events.EvaluationStepTaken: ("EvaluationStepTaken", 2),
    events.EvaluationFinished: ("EvaluationFinished", 2),
    events.FoldTestStarted: ("FoldTestStarted", 2),
    events.FoldTestFinished: ("FoldTestFinished", 2),
    events.BaselinesMeasured: ("BaselinesMeasured", 1),
    events.SkillMeasured: ("SkillMeasured", 1),
    events.GateDecided: ("GateDecided", 1),
    events.CycleVerdict: ("CycleVerdict", 1),
    events.ModelPromoted: ("ModelPromoted", 1),
    events.GateOverridden: ("GateOverridden", 1),
    events.ReplayFinished: ("ReplayFinished", 1),
    events.LogVerified: ("LogVerified", 1),
    events.KeyRotated: ("KeyRotated", 1),
    events.CheckpointSigned: ("CheckpointSigned", 2),
    events.SegmentSealed: ("SegmentSealed", 1),
    events.LegalHoldPlaced: ("LegalHoldPlaced", 1),
    events.LegalHoldLifted: ("LegalHoldLifted", 1),
    events.AlertPushFailed: ("AlertPushFailed", 1),
    events.DaemonStarted: ("DaemonStarted", 1),
    events.DaemonStopped: ("DaemonStopped", 1),
    events.LeaseTaken: ("LeaseTaken", 1),
    events.ScheduleDefined: ("ScheduleDefined", 1),
    events.ScheduleFired: ("ScheduleFired", 1),
    events.ScheduleSkipped: ("ScheduleSkipped", 1),
    events.ScheduleRetried: ("ScheduleRetried", 1),
    events.ScheduleFinished: ("ScheduleFinished", 1),
    events.ScheduleFailed: ("ScheduleFailed", 1),
    events.SchedulePaused: ("SchedulePaused", 1),
    events.ScheduleResumed: ("ScheduleResumed", 1),
    events.ScheduleTriggered: ("ScheduleTriggered", 1),
    events.TrainingHalted: ("TrainingHalted", 1),
    events.HaltLifted: ("HaltLifted", 1),
    events.AuditAsked: ("AuditAsked", 1),
    events.ExportMade: ("ExportMade", 1),
}
"""The stored name and newest schema version of every event."""

CLASSES: dict[str, type] = {name: event for event, (name, _) in SCHEMAS.items()}


def _nobody_ordered(fields: dict[str, Json]) -> dict[str, Json]:
    """Bring ModelRolledBack from version 1 to 2: before, no operator could order one."""
    return {**fields, "by": "", "base_margin": "0.0", "margin_spread": "0.0", "profit": "0.0"}


def _steered_to_target(fields: dict[str, Json]) -> dict[str, Json]:
    """Bring what the controller did from version 1 to 2: before, it aimed at the target itself."""
    return {**fields, "setpoint": fields["target"]}


def _reach_unknown(fields: dict[str, Json]) -> dict[str, Json]:
    """Bring the start of an evaluation from version 1 to 2: no setpoint, no reach recorded."""
    return {**_steered_to_target(fields), "margin_reach": None}


def _nothing_owed(fields: dict[str, Json]) -> dict[str, Json]:
    """Bring EvaluationStepTaken from version 1 to 2: before, nothing was made up."""
    return {**fields, "owed": "0.0"}


def _saturation_unknown(fields: dict[str, Json]) -> dict[str, Json]:
    """Bring an evaluation's result from version 1 to 2: nobody looked whether it saturated."""
    return {**fields, "saturated": None}


def _authority_unknown(fields: dict[str, Json]) -> dict[str, Json]:
    """Bring PolicyUpdated from version 1 to 2: the controller's authority was not recorded."""
    return {**_saturation_unknown(fields), "bonus_ratio": None, "margin_reach": None}


def _no_roots_kept(fields: dict[str, Json]) -> dict[str, Json]:
    """Bring CheckpointSigned from version 1 to 2: no roots of subtrees were kept with it."""
    return {**fields, "subtrees": None}


UPCASTERS: dict[tuple[str, int], Upcaster] = {
    ("ModelRolledBack", 1): _nobody_ordered,
    ("ControllerUpdated", 1): _steered_to_target,
    ("EvaluationStarted", 1): _reach_unknown,
    ("EvaluationStepTaken", 1): _nothing_owed,
    ("EvaluationFinished", 1): _saturation_unknown,
    ("FoldTestStarted", 1): _reach_unknown,
    ("FoldTestFinished", 1): _saturation_unknown,
    ("PolicyUpdated", 1): _authority_unknown,
    ("CheckpointSigned", 1): _no_roots_kept,
}
"""(name, schema) to the function that makes the payload one schema version newer."""


def type_of(event: type | Event) -> tuple[str, int]:
    """Return the stored name and schema version of an event or its class."""
    return SCHEMAS[event if isinstance(event, type) else type(event)]


def encode(event: Event) -> bytes:
    """Return the canonical bytes of ``event``.

    Raises ``NotCanonicalError`` naming the field that has no canonical form.
    """
    kind: type = type(event)
    plain = {
        field: to_json(getattr(event, field), f"{kind.__name__}.{field}") for field in _fields(kind)
    }
    return canonical(plain)


def canonical(value: Json) -> bytes:
    """Return RFC 8785 bytes of a value without real numbers.

    Keys are sorted by code point, which is RFC 8785's order for the ASCII keys used here.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def to_json(value: object, field: str) -> Json:
    """Return ``value`` as JSON with real numbers and times as strings."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return _whole(value, field)
        case float():
            return real_text(value, field)
        case datetime():
            return time_text(value, field)
        case tuple() | list():
            return [to_json(item, f"{field}[{i}]") for i, item in enumerate(value)]
        case Mapping():
            return {_key(k, field): to_json(item, f"{field}.{k}") for k, item in value.items()}
        case _:
            raise NotCanonicalError(f"{field}: {type(value).__name__} has no canonical form.")


def real_text(value: float, field: str = "value") -> str:
    """Return the shortest decimal that reads back the same bits as ``value``."""
    if not math.isfinite(value):
        raise NotCanonicalError(f"{field} is {value}; only finite numbers can be recorded.")
    return orjson.dumps(value).decode()


def time_text(value: datetime, field: str = "value") -> str:
    """Return a time as ``2026-01-07T14:30:00.000000Z``."""
    if value.tzinfo is None:
        raise NotCanonicalError(f"{field} has no time zone: {value}.")
    return value.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def decode(name: str, schema: int, payload: bytes) -> Event:
    """Return the event that ``payload`` is, brought to the newest schema version.

    Raises ``UnknownEventError`` naming both versions if this program is too old for it, and
    if the payload is not what its type promises.
    """
    event_type = CLASSES.get(name)
    if event_type is None or schema > SCHEMAS[event_type][1]:
        known = "none" if event_type is None else str(SCHEMAS[event_type][1])
        raise UnknownEventError(
            f"Event {name} has schema version {schema}; this program reads {known}. "
            "Use a newer Stairways."
        )
    stored = orjson.loads(payload)
    if not isinstance(stored, dict):
        raise UnknownEventError(f"Event {name} version {schema} is no object with fields.")
    fields = _upcast(name, schema, SCHEMAS[event_type][1], stored)
    readers = _readers(event_type)
    if fields.keys() != readers.keys():
        odd = ", ".join(sorted(set(fields) ^ set(readers)))
        raise UnknownEventError(f"Event {name} version {schema} has other fields: {odd}.")
    try:
        return typing.cast("Event", event_type(**{k: readers[k](v) for k, v in fields.items()}))
    except (TypeError, ValueError) as error:
        raise UnknownEventError(f"Event {name} version {schema}: {error}.") from error


def encode_columns(event_type: type, columns: Mapping[str, Column]) -> list[bytes]:
    """Return the canonical bytes of many events of one type, made from arrays.

    ``columns`` has every field of the event: an integer, real or boolean array of shape
    ``(n,)``, one of shape ``(n, k)`` for a tuple of k, or n ready strings. The result equals
    ``[encode(e) for e in events]`` at a fraction of its time.
    """
    name = event_type.__name__
    if set(columns) != set(_fields(event_type)):
        odd = ", ".join(sorted(set(columns) ^ set(_fields(event_type))))
        raise NotCanonicalError(f"{name}: columns and fields differ: {odd}.")
    return canonical_rows(columns, name)


def canonical_rows(columns: Mapping[str, Column], name: str) -> list[bytes]:
    """Return the canonical bytes of many objects of the same keys, made from arrays.

    Columns are as in ``encode_columns``; ``name`` is what an error calls the objects.
    """
    keys = sorted(columns)
    read = {key: _column_texts(columns[key], f"{name}.{key}") for key in keys}
    if len({len(texts) for _, texts, _ in read.values()}) > 1:
        raise NotCanonicalError(f"{name}: columns differ in length.")
    return _joined(read)


_Texts = tuple[bytes, list[bytes], bytes]
"""What stands before each value of a column, the values, and what stands after each."""


def _joined(columns: Mapping[str, _Texts]) -> list[bytes]:
    """Join columns row by row; what is the same in every row is made once."""
    parts: list[Iterable[bytes]] = []
    between = b"{"
    for key, (opening, texts, closing) in columns.items():
        parts += (itertools.repeat(between + b'"%s":' % key.encode() + opening), texts)
        between = closing + b","
    last = between.removesuffix(b",") + b"}"
    return list(map(b"".join, zip(*parts, itertools.repeat(last), strict=False)))


def _column_texts(column: Column, field: str) -> _Texts:
    """Return each row of a column as JSON, without the quotes or brackets around it."""
    if not isinstance(column, np.ndarray):
        return b'"', [text.encode() for text in column], b'"'
    if column.dtype.kind == "f":
        return b'"', _real_texts(column, field), b'"'
    if column.dtype.kind == "i" and len(column) and np.abs(column).max() > LARGEST_WHOLE_NUMBER:
        raise NotCanonicalError(f"{field} has a whole number beyond 2**53 - 1.")
    array = orjson.dumps(np.ascontiguousarray(column), option=orjson.OPT_SERIALIZE_NUMPY)
    if array.startswith(b"[["):
        return b"[", array[2:-2].split(b"],["), b"]"
    return b"", _items(array), b""


def _real_texts(column: npt.NDArray[np.generic], field: str) -> list[bytes]:
    if column.ndim != 1:
        raise NotCanonicalError(f"{field}: a tuple of real numbers has no column form.")
    real = np.ascontiguousarray(column, dtype=np.float64)
    if not np.isfinite(real).all():
        row = int(np.flatnonzero(~np.isfinite(real))[0])
        raise NotCanonicalError(f"{field} is {real[row]} in row {row}; only finite numbers count.")
    return _items(orjson.dumps(real, option=orjson.OPT_SERIALIZE_NUMPY))


def _items(array: bytes) -> list[bytes]:
    """Split a JSON array of numbers into its elements."""
    return [] if array == b"[]" else array[1:-1].split(b",")


def _whole(value: int, field: str) -> int:
    if abs(value) > LARGEST_WHOLE_NUMBER:
        raise NotCanonicalError(f"{field} is {value}, a whole number beyond 2**53 - 1.")
    return value


def _key(key: object, field: str) -> str:
    if not isinstance(key, str) or not key.isascii():
        raise NotCanonicalError(f"{field}: the key {key!r} is not ASCII text.")
    return key


def _upcast(name: str, schema: int, newest: int, fields: dict[str, Json]) -> dict[str, Json]:
    for version in range(schema, newest):
        fields = UPCASTERS[name, version](fields)
    return fields


@functools.cache
def _fields(event_type: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(event_type))


@functools.cache
def _readers(event_type: type) -> dict[str, Callable[[Json], object]]:
    hints = typing.get_type_hints(event_type)
    return {name: _reader(hints[name]) for name in _fields(event_type)}


def _reader(hint: object) -> Callable[[Json], object]:
    """Return the function that reads a JSON value as the annotated type, strictly."""
    hint = getattr(hint, "__supertype__", hint)
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin is tuple:
        return _tuple_reader(arguments)
    if origin in (types.UnionType, typing.Union):
        inner = _reader(next(a for a in arguments if a is not types.NoneType))
        return lambda value: None if value is None else inner(value)
    if origin is not None:
        item = _reader(arguments[1])
        return lambda value: {k: item(v) for k, v in _exactly(dict, value).items()}
    return _SCALARS.get(typing.cast("type", hint)) or functools.partial(_exactly, hint)


def _tuple_reader(arguments: tuple[object, ...]) -> Callable[[Json], object]:
    item = _reader(arguments[0])
    length = None if Ellipsis in arguments else len(arguments)

    def read(value: Json) -> tuple[object, ...]:
        items = _exactly(list, value)
        if length is not None and len(items) != length:
            raise ValueError(f"expected {length} items, found {len(items)}")
        return tuple(item(entry) for entry in items)

    return read


def _exactly(expected: typing.Any, value: object) -> typing.Any:  # noqa: ANN401 - it checks types at run time
    if type(value) is not expected:
        raise TypeError(f"expected {expected.__name__}, found {value!r}")
    return value


def _read_real(value: Json) -> float:
    if type(value) is not str:
        raise TypeError(f"expected str, found {value!r}")
    return float(value)


def _read_time(value: Json) -> datetime:
    moment = datetime.fromisoformat(_exactly(str, value))
    if moment.tzinfo is None or time_text(moment) != value:
        raise ValueError(f"{value!r} is no time in UTC to the microsecond")
    return moment


_SCALARS: dict[type, Callable[[Json], object]] = {float: _read_real, datetime: _read_time}
