"""How much memory and time each export of a large run takes, and whether memory grows with it.

    python ops/bench/exports.py [--events 1000000] [--source sqlite:///demo/stairways.db]

A run that was really trained is grown by its own cycles, in SQLite and in PostgreSQL, once to a
quarter of ``--events`` and once to all of them. Each form is exported from both by the command
itself; its peak memory is what the system says of that process (a page of SQLite that it mapped
counts too, one of PostgreSQL does not). Exits with 1 where the larger run takes more than 1.25
times the memory of the smaller one. Without ``--source`` the main job is trained first.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from ops.bench.copying import ROOT, context, grow_run, train_demo
from stairways.service.seal import seal_log
from stairways.store.opening import open_sql_store, upgrade
from stairways.store.seal import new_key

FORMS = ("jsonl", "csv", "parquet", "html", "bundle")
LIMIT = 1.25
"""Peak memory of the larger run's export to that of the smaller one's."""


class Cost(NamedTuple):
    """What one export took."""

    memory: float  # MB at most
    seconds: float
    size: float  # MB written


def main() -> int:
    """Build, measure, print; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--source", default="")
    parser.add_argument("--on", choices=("sqlite", "postgres"), action="append")
    parser.add_argument("--form", choices=FORMS, action="append")
    options = parser.parse_args()
    kept = True
    with tempfile.TemporaryDirectory(prefix="exports-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        source = options.source or train_demo(folder / "demo")
        for kind in options.on or ("sqlite", "postgres"):
            kept &= _measured(kind, folder, source, options)
    return 0 if kept else 1


def _measured(kind: str, folder: Path, source: str, options: argparse.Namespace) -> bool:
    """Print what each form takes of both runs; say whether memory stays flat."""
    with _databases(kind, folder) as (small, large):
        sizes = [_grown(url, source, events) for url, events in
                 ((small, options.events // 4), (large, options.events))]  # fmt: skip
        print(f"{kind}: runs of {sizes[0]:,} and {sizes[1]:,} events")
        kept = True
        for form in options.form or FORMS:
            less, more = (_export(url, form, folder / form) for url in (small, large))
            ratio = more.memory / less.memory
            kept &= ratio <= LIMIT
            print(
                f"{kind:9} {form:8} {less.memory:6.0f} MB, then {more.memory:6.0f} MB: "
                f"{ratio:4.2f} (wanted: {LIMIT});  {less.seconds:6.1f} s, then {more.seconds:6.1f}"
                f" s for {more.size:,.0f} MB",
                flush=True,
            )
    return kept


@contextmanager
def _databases(kind: str, folder: Path) -> Iterator[tuple[str, str]]:
    if kind == "sqlite":
        yield f"sqlite:///{folder}/small.db", f"sqlite:///{folder}/large.db"
        return
    from ops.bench.append import server  # noqa: PLC0415 - it starts one

    with server(folder) as url:
        yield url("small"), url("large")


def _grown(url: str, source: str, events: int) -> int:
    """Make a log that holds one run of so many events, signed; return its size."""
    upgrade(url)
    store = open_sql_store(url)
    grow_run(store, source, events)
    seal_log(store, new_key("example.org/bench"), context("seal", "seal"))
    size = store.head().size
    store.close()
    return size


def _export(url: str, form: str, out: Path) -> Cost:
    command = [
        *(sys.executable, "-m", "stairways", "--database-url", url, "--log-level", "error"),
        *("export", "latest", "--format", form, "--out", str(out), "--replace", "--no-record"),
    ]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT) as process:  # noqa: S603 - the product's own command
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{form}: exit code {process.returncode}")
    files = [*out.rglob("*")] if out.is_dir() else [out]
    size = sum(file.stat().st_size for file in files) / 1e6
    return Cost(usage.ru_maxrss / 1024, time.perf_counter() - began, size)


if __name__ == "__main__":
    sys.exit(main())
