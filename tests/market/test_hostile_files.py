"""Hostile files: refused with file, row and reason, in bounded memory and time."""

import gzip
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stairways.errors import BarsRefusedError
from stairways.market import Options, load_bars, read_file
from stairways.market.options import Limits


class WriteFile(Protocol):
    def __call__(self, name: str, lines: list[str] | bytes) -> Path: ...


HEADER = "Date,Open,High,Low,Close,Volume"
GOOD = "2024-01-02,10,12,9,11,1000"
SMALL = Options(limits=Limits(content=1 << 22, line=1 << 14, columns=64, rows=1000, block=1 << 16))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "2024-01-03,=cmd|' /C calc'!A0,12,9,11,1000",
            "line 3: the open is \"=cmd|' /C calc'!A0\"",
        ),
        ("2024-01-03,@SUM(1+1),12,9,11,1000", "line 3: the open is '@SUM(1+1)', not a number"),
        ("2024-01-03,10,12,9,eleven,1000", "line 3: the close is 'eleven', not a number"),
        ("2024-01-03,10,12,9,0x1F,1000", "line 3: the close is '0x1F', not a number"),
        ("2024-01-03,10,12,9,1_1,1000", "line 3: the close is '1_1', not a number"),
        ("0000-01-01,10,12,9,11,1000", "line 3: '0000-01-01' is no time from 1900 to 2199"),
        ("9999-12-31,10,12,9,11,1000", "line 3: '9999-12-31' is no time from 1900 to 2199"),
        ("2024-02-30,10,12,9,11,1000", "line 3: '2024-02-30' is no time"),
        ("03/01/2024,10,12,9,11,1000", "line 3: '03/01/2024' is no time"),
        (",10,12,9,11,1000", "line 3: 'None' is no time"),
        ("2024-01-03,10,12,9,11,1000,7", "line 3: it does not have the 6 cells of the header"),
        ('2024-01-03,10,"12,9,11,1000', "line 3: it does not have the 6 cells of the header"),
    ],
)
def test_an_odd_cell_is_refused_with_file_row_and_reason(
    line: str, reason: str, write: WriteFile
) -> None:
    path = write("XYZ.csv", [HEADER, GOOD, line])
    with pytest.raises(BarsRefusedError) as refusal:
        read_file(path)
    assert str(refusal.value).startswith(f"XYZ.csv, {reason}")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2024-01-03,10,12,9,1e400,1000", "line 3: XYZ: a price is beyond 1e+09 dollars"),
        ("2024-01-03,10,12,9,inf,1000", "line 3: the close is 'inf', not a number"),
        ("2024-01-03,10,12,9,0,1000", "line 3: XYZ: a price is zero or below"),
        ("2024-01-03,10,12,9,1e-9,1000", "line 3: XYZ: a price is zero or below"),
        ("2024-01-03,-10,12,9,11,1000", "line 3: XYZ: a price is zero or below"),
        ("2024-01-03,10,12,9,nan,1000", "line 3: XYZ: a price is empty"),
        ("2024-01-03,10,12,9,,1000", "line 3: XYZ: a price is empty"),
        ("2024-01-03,10,12,9,11,-1", "line 3: XYZ: the volume is below zero"),
        ("2024-01-03,10,12,9,11,1e300", "line 3: XYZ: the volume is beyond 9e+15 shares"),
        ("2024-01-02,10,12,9,11.5,1000", "line 3: XYZ: the row before has the same time"),
        ("2024-01-03", "line 3: XYZ: a price is empty"),
    ],
)
def test_a_number_that_spoils_accounting_is_refused_with_file_row_and_reason(
    line: str, reason: str, write: WriteFile
) -> None:
    path = write("XYZ.csv", [HEADER, GOOD, line])
    with pytest.raises(BarsRefusedError) as refusal:
        load_bars([path], adjustment="raw")
    assert str(refusal.value).startswith(f"XYZ.csv, {reason}")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (HEADER.encode(), "it has a header and no bars"),
        (f"{HEADER}\n{GOOD}\n2024-01-03,1\0,2,1,2,3\n".encode(), "line 3: it holds a NUL byte"),
        (f"{HEADER}\n{GOOD}\n".encode() + b"2024-01-03,\xe9,2\n", "line 3: it is not UTF-8"),
        (f"{HEADER}\n{GOOD}\n".encode("utf-16"), "this is UTF-16 text"),
        (b"PK\x03\x04" + b"x" * 99, "this is a ZIP archive"),
        (b"\x1f\x8b" + b"x" * 99, "it does not unpack"),
        (gzip.compress(f"{HEADER}\n{GOOD}\n".encode() * 99)[:-9], "it does not unpack"),
        (b"PAR1" + b"x" * 99, "it is no readable Parquet file"),
        (b"x" * 100_000, "line 1: the line is longer than 16,384 bytes"),
        (b"a," * 8_000 + b"\n" + b"1," * 8_000, "it has 8,001 columns; 64 are read at most"),
        (HEADER.encode() + b"\n" + b"9" * 20_000 + b"\n", "line 2: the line is longer than"),
        ((HEADER + f"\n{GOOD}" * 1001).encode(), "it has more than 1,000 rows"),
    ],
)
def test_odd_bytes_are_refused_with_the_reason(
    content: bytes, reason: str, write: WriteFile
) -> None:
    path = write("XYZ.csv", content)
    with pytest.raises(BarsRefusedError) as refusal:
        read_file(path, SMALL)
    assert str(refusal.value).startswith("XYZ.csv")
    assert reason.partition(": ")[0] in str(refusal.value)


@pytest.mark.parametrize("filling", [b"\0", b"1", b"1\n", f"{GOOD}\n".encode()])
def test_a_decompression_bomb_is_refused_before_it_takes_memory(
    filling: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "bomb.csv.gz"
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = filling * ((1 << 20) // len(filling))
    packed = [packer.compress(f"{HEADER}\n{GOOD}\n".encode())]
    packed += [packer.compress(piece) for _ in range(60)]  # 60 MB
    path.write_bytes(b"".join([*packed, packer.flush()]))
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(BarsRefusedError):
        load_bars([path], adjustment="raw")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.perf_counter() - began < 20
    assert peak < 250 << 20


def test_ten_million_columns_are_refused_quickly(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_bytes(b"c," * 10_000_000 + b"\n" + b"1," * 10_000_000)
    began = time.perf_counter()
    with pytest.raises(BarsRefusedError, match="line 1: the line is longer"):
        read_file(path)
    assert time.perf_counter() - began < 5


def test_short_lines_under_a_wide_header_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "XYZ.csv"
    path.write_bytes((HEADER + ",x" * 4000 + "\n").encode() + b"2024-01-02,1,1,1,1\n" * 15_000)
    code = (
        "import resource, sys; from stairways.market import read_file; limit = 3 << 30;"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit));"
        "read_file(sys.argv[1])"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_parquet_file_with_too_many_rows_or_odd_types_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "XYZ.parquet"
    prices = {name: [1.0] for name in ("Open", "High", "Low", "Close")}
    pl.DataFrame({"Date": ["2024-01-02"], **prices, "Volume": [[1]]}).write_parquet(path)
    with pytest.raises(BarsRefusedError, match="the volume is of type List"):
        read_file(path)
    pl.DataFrame({"Date": [1.5], **prices}).write_parquet(path)
    with pytest.raises(BarsRefusedError, match="the time is a real number"):
        read_file(path)
    many = pl.DataFrame({"Date": ["2024-01-02"], **prices}).select(
        pl.all().repeat_by(5000).explode()
    )
    many.write_parquet(path)
    with pytest.raises(BarsRefusedError, match="more than 1,000 rows"):
        read_file(path, SMALL)


@pytest.mark.parametrize("symbol", ["../../etc/passwd", "a b", "=1+1", "x" * 33, "\x1b[31m", "NÜ"])
def test_symbols_that_are_no_symbols_are_refused(symbol: str, write: WriteFile) -> None:
    header = "Ticker,Date,Open,High,Low,Close,Volume"
    path = write("all.csv", [header, f"{symbol},{GOOD}"])
    with pytest.raises(BarsRefusedError, match="is no symbol"):
        read_file(path)


def test_what_is_no_file_is_refused_as_what_it_is(tmp_path: Path) -> None:
    for path, said in (
        (tmp_path / "absent.csv", "there is no such file"),
        (tmp_path, "this is a folder"),
        (Path("/dev/null"), "this is a device or a pipe"),
    ):
        with pytest.raises(BarsRefusedError, match=said):
            read_file(path)


cells = st.one_of(
    st.sampled_from(
        ["", "1", "2.5", "-1", "1e400", "nan", '"', "=1", "1,5", "\0", "2024-01-02", "K"]
    ),
    st.text(max_size=8),
)
tables = st.lists(st.lists(cells, max_size=8).map(",".join), max_size=8).map("\n".join)


@given(
    body=st.one_of(tables.map(str.encode), st.binary(max_size=300)),
    header=st.sampled_from([HEADER, "Ticker,Date,Open,High,Low,Close", "t,o,h,l,c", ""]),
    pack=st.sampled_from([bytes, gzip.compress]),
)
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_are_loaded_or_refused(
    body: bytes, header: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "XYZ.csv"
    path.write_bytes(pack(header.encode() + b"\n" + body))
    try:
        bars = load_bars([path], adjustment="raw", timezone="America/New_York").bars
    except BarsRefusedError:
        return
    assert (bars.close > 0).all()


@given(data=st.data())
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_damaged_parquet_file_is_loaded_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "XYZ.parquet"
    prices = {name: [1.0, 2.0] for name in ("Open", "High", "Low", "Close")}
    pl.DataFrame({"Date": ["2024-01-02", "2024-01-03"], **prices}).write_parquet(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content[: data.draw(st.integers(5, len(content)))])
    try:
        bars = load_bars([path], adjustment="raw").bars
    except BarsRefusedError:
        return
    assert (bars.close > 0).all()


def test_a_file_whose_reading_fails_is_refused() -> None:
    memory = Path("/proc/self/mem")
    if not memory.is_file():
        pytest.skip("this system has no file that opens and cannot be read: /proc/self/mem")

    with pytest.raises(BarsRefusedError, match=r"mem: it cannot be read \(Input/output error\)"):
        read_file(str(memory))
