"""The canonical content of bars: it proves itself, and hostile content is refused."""

import dataclasses
import hashlib
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stairways.errors import BarsRefusedError
from stairways.market import Bars, decode_bars, encode_bars, simulate

FIELDS = tuple(field.name for field in dataclasses.fields(Bars))
SAMPLE = simulate(("NVDA", "MSFT"), 40, 3, frequency="1h").bars


def assert_same(left: Bars, right: Bars) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


@given(
    symbols=st.integers(1, 4),
    rows=st.integers(1, 60),
    seed=st.integers(0, 2**32),
    frequency=st.sampled_from(["1m", "5m", "1h", "1d"]),
)
@settings(max_examples=40, deadline=None)
def test_bars_read_back_as_they_were_written(
    symbols: int, rows: int, seed: int, frequency: str
) -> None:
    names = [f"S{i}" for i in range(symbols)]
    bars = simulate(names, rows, seed, frequency=frequency).bars  # type: ignore[arg-type]
    content = encode_bars(bars)
    assert hashlib.sha256(content).hexdigest() == bars.digest
    assert_same(decode_bars(content), bars)


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume"])
def test_one_changed_tick_changes_the_digest(field: str) -> None:
    table = getattr(SAMPLE, field).copy()
    table[17, 1] += 1
    changed = dataclasses.replace(SAMPLE, **{field: table})
    assert hashlib.sha256(encode_bars(changed)).hexdigest() != SAMPLE.digest


@pytest.mark.parametrize(
    ("field", "value"),
    [("adjustment", "raw"), ("frequency", "5m"), ("calendar", "XNYS"), ("simulated", False)],
)
def test_another_label_is_another_digest(field: str, value: object) -> None:
    changed = dataclasses.replace(SAMPLE, **{field: value})  # type: ignore[arg-type]
    assert hashlib.sha256(encode_bars(changed)).hexdigest() != SAMPLE.digest


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_content_is_refused_or_has_its_own_digest(data: st.DataObject) -> None:
    content = bytearray(encode_bars(SAMPLE))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    try:
        bars = decode_bars(bytes(content))
    except BarsRefusedError:
        return
    assert bars.digest == hashlib.sha256(content).hexdigest() != SAMPLE.digest


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_arbitrary_bytes_are_refused(tail: bytes) -> None:
    for content in (tail, b"stairways-bars/1\n" + tail, b"stairways-bars/1\n{}\n" + tail):
        with pytest.raises(BarsRefusedError):
            decode_bars(content)


def test_cut_or_lengthened_content_is_refused() -> None:
    content = encode_bars(SAMPLE)
    for wrong in (content[:-1], content + b"\0", content[: len(content) // 2]):
        with pytest.raises(BarsRefusedError):
            decode_bars(wrong)


@pytest.mark.parametrize(
    ("field", "row", "value"),
    [("open", 3, 0), ("close", 5, -1), ("volume", 2, -1), ("high", 4, 2**53)],
)
def test_numbers_that_spoil_accounting_never_become_bars(field: str, row: int, value: int) -> None:
    table = getattr(SAMPLE, field).copy()
    table[row, 0] = value
    with pytest.raises(BarsRefusedError):
        encode_bars(dataclasses.replace(SAMPLE, **{field: table}))


def test_times_that_do_not_rise_never_become_bars() -> None:
    times = SAMPLE.times.copy()
    times[5] = times[4]
    with pytest.raises(BarsRefusedError, match="do not rise"):
        encode_bars(dataclasses.replace(SAMPLE, times=times))


def test_reading_bars_back_needs_neither_polars_nor_pandas() -> None:
    code = (
        "import sys; from stairways.market import decode_bars;"
        "print(sorted({'polars', 'pandas', 'exchange_calendars', 'torch'} & set(sys.modules)))"
    )
    root = pathlib.Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == "[]"
