"""Check and register 10 million 1-minute bars: seconds and memory of `stairways data import`.

    python ops/bench/data_ingest.py [--rows 10000000] [--symbols 10] [--layout files|long]

The bars are made up and written as CSV first; only the import is measured, in a process of
its own. The promise is under 60 seconds and 2 GB.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl

from stairways.market.calendars import sessions
from stairways.market.simulation import simulate

START, END = "2000-01-03", "2025-12-31"
MINUTE = 60_000_000_000


def main() -> None:
    """Make the files, import them, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--symbols", type=int, default=10)
    parser.add_argument("--layout", choices=["files", "long"], default="files")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # in a process of its own: a child's memory counts from that of its parent
        what = (Path(folder), asked.rows // asked.symbols, asked.symbols, asked.layout)
        with ProcessPoolExecutor(1, get_context("spawn")) as writer:
            files = writer.submit(_write, *what).result()
        size = sum(file.stat().st_size for file in files)
        seconds, busy, memory = _import(Path(folder), files)
    fits = seconds < 60 and memory < 2e9  # noqa: PLR2004 - the promise
    print(
        f"{asked.rows:,} rows in {len(files)} CSV of {size / 1e6:.0f} MB: {seconds:.1f} s "
        f"({busy:.1f} s of processor time), "
        f"{memory / 1e9:.2f} GB at most: {'within' if fits else 'OVER'} 60 s and 2 GB"
    )
    raise SystemExit(0 if fits else 1)


def _write(folder: Path, rows: int, symbols: int, layout: str) -> list[Path]:
    times = _minutes(rows)
    names = [f"S{number:02}" for number in range(symbols)]
    tables = [_table(times, name, seed) for seed, name in enumerate(names)]
    if layout == "long":
        tables, names = [pl.concat(tables).sort("timestamp")], ["all"]
    files = [folder / f"{name}.csv" for name in names]
    for table, file in zip(tables, files, strict=True):
        table.write_csv(file, datetime_format="%Y-%m-%d %H:%M:%S")
    return files


def _minutes(rows: int) -> pl.Series:
    """Return the first minutes of the sessions of the New York exchange, in its time."""
    day = np.datetime64("1970-01-01", "ns")
    first, last = (int((np.datetime64(d, "ns") - day).astype(np.int64)) for d in (START, END))
    known = sessions("XNYS", first, last)
    counts = (known.closes - known.opens) // MINUTE
    within = np.concatenate([np.arange(count) for count in counts]) * MINUTE
    stamps = (np.repeat(known.opens, counts) + within)[:rows]
    if len(stamps) < rows:
        raise SystemExit(f"{rows:,} minutes are more than there were; ask for more symbols.")
    local = pl.Series("timestamp", stamps).cast(pl.Datetime("ns", "UTC"))
    return local.dt.convert_time_zone("America/New_York").dt.replace_time_zone(None)


def _table(times: pl.Series, name: str, seed: int) -> pl.DataFrame:
    bars = simulate((name,), len(times), seed, frequency="1m").bars
    prices = {
        field: np.round(getattr(bars, field)[:, 0] / 1e6, 4)
        for field in ("open", "high", "low", "close")
    }
    table = pl.DataFrame({"timestamp": times, **prices, "volume": bars.volume[:, 0] // 390})
    return table.with_columns(pl.lit(name).alias("symbol"))


def _import(folder: Path, files: list[Path]) -> tuple[float, float, float]:
    """Return seconds, seconds of processor time, and the most bytes of memory of one import."""
    command = [sys.executable, "-m", "stairways", "data", "import", "bench", *map(str, files)]
    command += ["--adjustment", "raw", "--timezone", "America/New_York"]
    command += ["--database-url", f"sqlite:///{folder / 'bench.db'}"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    began = time.perf_counter()
    importer = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)  # noqa: S603 - the product's own command
    _, status, used = os.wait4(importer.pid, 0)
    importer.returncode = os.waitstatus_to_exitcode(status)
    if importer.returncode:
        raise SystemExit("the import failed")
    seconds = time.perf_counter() - began
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024.0


if __name__ == "__main__":
    main()
