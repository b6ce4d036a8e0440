"""All real files of the shared folder: loaded with the defects the manifest lists, or refused."""

import csv
import hashlib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from stairways.errors import BarsRefusedError
from stairways.market.options import Limits, Options
from stairways.market.series import Basis, Series, load_series, read_all, symbols_in
from stairways.market.source import blocks

KINDS = {
    "nullrows": "empty price",
    "zerovol": "zero volume",
    "hi_lt_lo": "high below low",
    "hi_viol": "high too low",
    "lo_viol": "low too high",
    "nonpos": "price not positive",
    "missing": "missing session",
    "extra": "extra session",
    "dup": "conflicting duplicate",
    "order": "unsorted",
}
SPOILED = {"nullrows", "nonpos", "dup"}
EXTRA_N225 = 3  # 1 to 3 January 1997: the calendar knows them, the manifest starts later
FREQUENCIES = {"santoshnag__trading_app/MSFT_1m.csv.gz": "5m"}  # named 1m, stamped every 5
MONTHLY = "LastAncientOne__AMD-vs-NVDA/NVDA.csv"


def checked(folder: Path, row: dict[str, str], options: Options) -> list[Series]:
    path, symbol = folder / row["file"], row["symbol"]
    readings = read_all([path if symbol == "many" else f"{symbol}={path}"], options)
    basis = Basis(calendar="XTKS" if symbol.startswith("^") else None)
    return [load_series(one, readings, basis, options) for one in symbols_in(readings)]


def listed_defects(row: dict[str, str]) -> Counter[str]:
    pairs = (item.split("=") for item in row["defects"].split("; ") if item)
    found = Counter({KINDS[name]: _number(value) for name, value in pairs if name in KINDS})
    if row["symbol"] == "^N225":
        found["extra session"] += EXTRA_N225
    return found


def _number(value: str) -> int:
    return int(value) if value.isdigit() else 1  # order=desc


def stamp(series: Series, place: int) -> str:
    """The first or last time of a series as the manifest writes it, in New York."""
    moment = datetime.fromtimestamp(series.seen["time"][place] // 10**9, UTC)
    if series.frequency == "1d":
        return f"{moment:%Y-%m-%d}"
    return f"{moment.astimezone(ZoneInfo('America/New_York')):%Y-%m-%d %H:%M:%S}"


def test_every_file_has_the_rows_and_the_defects_that_the_manifest_lists(
    real_files: Path, manifest_row: dict[str, str]
) -> None:
    if manifest_row["file"] == MONTHLY:
        manifest_is_right_and_the_bars_are_refused(real_files, manifest_row)
        return
    series = checked(real_files, manifest_row, Options(timezone="America/New_York"))
    rows = sum(len(one.seen) for one in series)
    assert rows == int(manifest_row["rows"])
    assert {one.frequency for one in series} == {
        FREQUENCIES.get(manifest_row["file"], manifest_row["frequency"])
    }
    assert min(stamp(one, 0) for one in series) == manifest_row["first"]
    assert max(stamp(one, -1) for one in series) == manifest_row["last"]
    found: Counter[str] = Counter()
    for finding in (finding for one in series for finding in one.findings):
        found[finding.kind] += finding.count if finding.kind in KINDS.values() else 0
    assert +found == +listed_defects(manifest_row)


def test_every_file_unpacks_to_the_content_that_the_manifest_names(
    real_files: Path, manifest_row: dict[str, str]
) -> None:
    path = real_files / manifest_row["file"]
    if path.suffix == ".parquet":
        digest = hashlib.sha256(path.read_bytes())
    else:
        raw = b"".join(block.content for block in blocks(path, Limits()))
        digest = hashlib.sha256(raw)
        mark, ends = b"\xef\xbb\xbf", raw.replace(b"\n", b"\r\n")
        forms = (raw, mark + raw, raw[:-1], ends, mark + ends, ends[:-2])
        digests = {hashlib.sha256(form).hexdigest() for form in forms}
        assert manifest_row["sha256_of_content"] in digests
        return
    assert digest.hexdigest() == manifest_row["sha256_of_content"]


def test_naive_intraday_stamps_are_refused_until_their_zone_is_declared(real_files: Path) -> None:
    with (real_files / "MANIFEST.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if "New York, no offset" in row["timezone"]]
    assert len(rows) == 24
    for row in rows:
        with pytest.raises(BarsRefusedError, match=r"line 2: .* has no time zone"):
            checked(real_files, row, Options())


def manifest_is_right_and_the_bars_are_refused(folder: Path, row: dict[str, str]) -> None:
    """Monthly bars: refused first for their dates, then for their frequency."""
    assert row["frequency"] == "1mo"
    with pytest.raises(BarsRefusedError, match="can be read in two ways"):
        checked(folder, row, Options())
    with pytest.raises(BarsRefusedError, match="these are monthly bars"):
        checked(folder, row, Options(dates="month-first"))
