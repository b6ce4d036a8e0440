"""Payloads go into a segment and come out again, bit for bit, whatever they are."""

import io
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stairways import codec
from stairways.errors import BlobMissingError
from stairways.store import segments
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


def made_of(name: str, bits: int, count: int = 50) -> list[dict[str, object]]:
    """Return objects whose ``name`` follows from others, but for ``bits`` in one of them."""
    inputs, rule = segments.DERIVED[name]
    chance = np.random.default_rng(5)
    columns = {one: chance.normal(size=count) for one in inputs}
    columns[name] = rule(*columns.values())
    columns[name].view(np.int64)[7] ^= bits
    texts = {one: map(codec.real_text, reals.tolist()) for one, reals in columns.items()}
    return [dict(zip(texts, row, strict=True)) for row in zip(*texts.values(), strict=True)]


@pytest.mark.parametrize("name", segments.DERIVED)
def test_what_follows_from_other_columns_takes_no_room(name: str) -> None:
    rows = made_of(name, 0)
    table = pl.read_parquet(io.BytesIO(pack_segment(payloads(rows))))
    assert table[name].null_count() == len(rows)
    assert table.null_count().sum_horizontal()[0] == len(rows)
    assert unpack_segment(pack_segment(payloads(rows))) == payloads(rows)


@pytest.mark.parametrize("name", segments.DERIVED)
def test_one_bit_beside_what_follows_is_kept(name: str) -> None:
    rows = made_of(name, 1)
    table = pl.read_parquet(io.BytesIO(pack_segment(payloads(rows))))
    assert table[name].null_count() == 0
    assert unpack_segment(pack_segment(payloads(rows))) == payloads(rows)


def test_a_segment_of_before_with_every_column_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = made_of("reward", 0)
    with monkeypatch.context() as before:
        before.setattr(segments, "DERIVED", {})
        old = pack_segment(payloads(rows))
    assert pl.read_parquet(io.BytesIO(old))["reward"].null_count() == 0
    assert unpack_segment(old) == payloads(rows)


@pytest.mark.parametrize("kind", [pl.String, pl.Int64, pl.Boolean])
def test_an_empty_column_that_nothing_adds_up_to_is_a_damage(kind: type[pl.DataType]) -> None:
    inputs, _ = segments.DERIVED["bonus"]
    forged = pl.DataFrame({"position": [1], **{one: [0.5] for one in inputs}})
    forged = forged.with_columns(
        pl.lit(1).cast(pl.Int64).cast(kind).alias(inputs[0]),
        pl.lit(None, dtype=pl.Float64).alias("bonus"),
    )
    file = io.BytesIO()
    forged.write_parquet(file)
    with pytest.raises(BlobMissingError, match="not what Stairways writes"):
        unpack_segment(file.getvalue())


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
