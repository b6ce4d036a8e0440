"""Canonical bytes: one event or many, against an independent RFC 8785 and its vectors."""

import dataclasses
import json
import os
import typing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from stairways import codec
from stairways.core.events import ControllerUpdated, EvaluationStepTaken, Event
from stairways.core.values import Shares, digest_of
from stairways.errors import NotCanonicalError, UnknownEventError
from stairways.store.records import Append, hash_records, record_bytes, records_of

SHARED = Path(os.environ.get("STAIRWAYS_SHARED", Path(__file__).parents[2] / "../shared"))

wholes = st.integers(-(2**53) + 1, 2**53 - 1)
reals = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(wholes, *[reals] * 10), min_size=1, max_size=5))
def test_encoding_from_arrays_equals_encoding_one_by_one(rows: list[tuple[Any, ...]]) -> None:
    names = [field.name for field in dataclasses.fields(ControllerUpdated)]
    events = [ControllerUpdated(**dict(zip(names, row, strict=True))) for row in rows]
    columns = {name: np.array([row[i] for row in rows]) for i, name in enumerate(names)}
    assert codec.encode_columns(ControllerUpdated, columns) == [codec.encode(e) for e in events]


def validation_steps(count: int) -> list[EvaluationStepTaken]:
    values: dict[str, Any] = {
        "bar_time": datetime(2026, 1, 5, tzinfo=UTC), "action": 4, "prices": (1, 2**53 - 1),
        "costs": (0, 0), "clipped": (True, False), "interest": 0, "borrow": 0, "cash": -5,
        "positions": (0, 0), "lots": (1, -1), "equity": 7, "terminated": False,
        "truncated": True, "hold_rate": 0.5, "owed": 0.2, "error": -0.0, "regime": 1e-7,
        "fast": 1e300, "slow": 5e-324, "margin": 0.1,
    }  # fmt: skip
    return [
        EvaluationStepTaken(step=number, bar=number, shares=(Shares(number), Shares(-1)), **values)
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_tuples_and_texts_are_columns_too(count: int) -> None:
    events = validation_steps(count)
    columns: dict[str, Any] = {}
    for field in dataclasses.fields(EvaluationStepTaken):
        values = [getattr(event, field.name) for event in events]
        columns[field.name] = np.array(values)
        if field.name == "bar_time":
            columns[field.name] = [codec.time_text(value) for value in values]
        elif count == 0 and field.name in ("shares", "prices", "costs", "clipped"):
            columns[field.name] = np.zeros((0, 2), dtype=np.int64)
    encoded = codec.encode_columns(EvaluationStepTaken, columns)
    assert encoded == [codec.encode(event) for event in events]
    newest = codec.type_of(EvaluationStepTaken)
    assert [codec.decode(*newest, payload) for payload in encoded] == events


def test_columns_of_unequal_length_are_refused() -> None:
    names = [field.name for field in dataclasses.fields(ControllerUpdated)]
    columns = {name: np.zeros(3) for name in names} | {"step": np.arange(2)}
    with pytest.raises(NotCanonicalError, match="differ in length"):
        codec.encode_columns(ControllerUpdated, columns)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused_with_the_name_of_its_field(bad: float) -> None:
    names = [field.name for field in dataclasses.fields(ControllerUpdated)]
    values = dict.fromkeys(names, 0.0) | {"step": 1}
    with pytest.raises(NotCanonicalError, match="margin is"):
        codec.encode(ControllerUpdated(**{**values, "margin": bad}))  # type: ignore[arg-type]
    columns = {name: np.zeros(2) for name in names} | {"margin": np.array([0, bad])}
    with pytest.raises(NotCanonicalError, match=r"margin is .* in row 1"):
        codec.encode_columns(ControllerUpdated, columns)


records = st.builds(
    Append,
    first=st.integers(1, 2**53 - 1),
    last=st.just(1),
    stream=st.text(min_size=1, max_size=9),
    version=st.integers(1, 10**9),
    recorded_at=st.integers(0, 4 * 10**15),
    actor=st.text(max_size=9),
    correlation=st.text(max_size=9),
    causation=st.none() | st.integers(1, 2**53 - 1),
    append_id=st.text(max_size=9),
)


@given(records, st.dictionaries(st.text(max_size=4), wholes | st.text(max_size=4) | st.none()))
def test_a_record_is_canonical_json_to_an_independent_canonicaliser(
    append: Append, payload: dict[str, Any]
) -> None:
    content = rfc8785.dumps(payload)
    [record] = records_of(append, [(append.first, "Type%d", 1, content, b"")])
    line = record_bytes(record)
    assert line == rfc8785.dumps(json.loads(line))
    assert json.loads(line)["payload"] == json.loads(content)
    [leaf] = hash_records(append, append.first, ("Type%d",), (1,), (content,))
    assert leaf.hex() == digest_of(b"\x00" + line)


@given(
    st.recursive(
        wholes | st.text(max_size=4) | st.booleans() | st.none(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=4), inner)
        ),
    )
)
def test_our_canonical_bytes_are_those_of_an_independent_canonicaliser(value: Any) -> None:  # noqa: ANN401
    assert codec.canonical(value) == rfc8785.dumps(value)


def test_the_published_vectors_of_canonical_json_hold_where_they_need_no_reals() -> None:
    folder = SHARED / "vectors" / "jcs"
    if not folder.is_dir():
        pytest.skip(f"no published vectors at {folder}; set STAIRWAYS_SHARED")
    checked = 0
    for file in sorted((folder / "input").glob("*.json")):
        value = json.loads(file.read_text())
        expected = (folder / "output" / file.name).read_bytes().strip()
        assert rfc8785.dumps(value) == expected
        if file.name == "weird.json":
            with pytest.raises(NotCanonicalError, match="not ASCII"):
                codec.to_json(value, "weird")
        elif not _has_reals(value):
            assert codec.canonical(value) == expected, file.name
            checked += 1
    assert checked >= 2


def _has_reals(value: object) -> bool:
    if isinstance(value, dict | list):
        return any(map(_has_reals, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float)


def test_an_event_of_a_newer_program_is_refused_with_both_versions_named() -> None:
    with pytest.raises(UnknownEventError, match="schema version 9; this program reads 1"):
        codec.decode("StepTaken", 9, b"{}")
    with pytest.raises(UnknownEventError, match="reads none"):
        codec.decode("SomethingNew", 1, b"{}")


def test_every_event_has_a_stored_name() -> None:
    assert set(typing.get_args(Event)) == set(codec.SCHEMAS)
