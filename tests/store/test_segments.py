"""Payloads go into a segment and come out again, bit for bit, whatever they are."""

import io
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stairways import codec
from stairways.errors import BlobMissingError
from stairways.store.segments import Archive, pack_segment, unpack_segment

reals = st.floats(allow_nan=False, allow_infinity=False).map(codec.real_text)
whole = st.integers(-(2**53) + 1, 2**53 - 1)
times = st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}Z")
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "real": reals,
    "whole": whole,
    "truth": st.booleans(),
    "time": times,
    "text": st.text(max_size=5),
    "pair": st.tuples(whole, whole).map(list),
    "flags": st.lists(st.booleans(), min_size=1, max_size=1),
    "ragged": st.lists(whole, max_size=2),
    "perhaps": st.none() | whole,
    "mixed": st.booleans() | whole,
    "nested": st.dictionaries(st.sampled_from("ab"), whole),
    "reals": st.lists(reals, min_size=2, max_size=2),
    "position": whole,
    "a.b": whole,
}


def payloads(rows: list[dict[str, object]]) -> dict[int, bytes]:
    return {3 * place + 1: codec.canonical(row) for place, row in enumerate(rows)}  # type: ignore[arg-type]


@given(
    st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, unique=True).flatmap(
        lambda names: st.lists(
            st.fixed_dictionaries({name: FIELDS[name] for name in names}), min_size=1, max_size=6
        )
    )
)
@settings(max_examples=150, deadline=None)
def test_any_payloads_come_back_bit_for_bit(rows: list[dict[str, object]]) -> None:
    given_ = payloads(rows)
    assert unpack_segment(pack_segment(given_)) == given_


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"no json",
        b"[1]",
        b'{"b":1,"a":2}',
        b'{"a":1e5}',
        b'{"a":"1e5"}',
        b'{"a": 1}',
        b'{"a":%d}' % 2**70,
    ],
)
def test_payloads_that_are_not_canonical_are_kept_as_they_are(odd: bytes) -> None:
    given_ = {1: odd, 5: b'{"a":1}'}
    assert unpack_segment(pack_segment(given_)) == given_


def test_steps_become_columns_that_any_reader_of_parquet_knows() -> None:
    step: dict[str, object] = {
        "bar_time": "2026-01-07T14:30:00.000000Z",
        "clipped": [False, True],
        "value": "-0.1",
    }
    table = pl.read_parquet(io.BytesIO(pack_segment(payloads([step, step]))))
    assert table.schema == {
        "position": pl.Int64,
        "bar_time": pl.Datetime("us", "UTC"),
        "clipped.0": pl.Boolean,
        "clipped.1": pl.Boolean,
        "value": pl.Float64,
    }


def test_what_is_no_segment_says_so() -> None:
    for content in (b"", b"PAR1", orjson.dumps([1])):
        with pytest.raises(BlobMissingError, match="not what Stairways writes"):
            unpack_segment(content)


def test_a_reader_decodes_a_segment_once_and_leaves_what_is_lost() -> None:
    asked: list[str] = []

    def content_of(digest: str) -> bytes:
        asked.append(digest)
        if digest == "lost":
            raise BlobMissingError(digest)
        return pack_segment({4: b'{"a":4}', 6: b'{"a":6}'})

    archive = Archive(lambda position: ["lost", "found"] if position < 7 else [], content_of)
    rows = [(position, "T", 1, None, b"leaf") for position in (4, 5, 6, 7)]
    assert [row[3] for row in archive.filled(rows)] == [b'{"a":4}', None, b'{"a":6}', None]
    assert asked == ["lost", "found"]
    assert archive.filled([(5, "T", 1, b"kept", b"leaf")])[0][3] == b"kept"
