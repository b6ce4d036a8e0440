"""How small the steps of a real run become when it is archived, and how quickly they are read.

    python ops/bench/archive.py [LOG]     (a SQLite log; without one the demo run is trained)

Bytes are those of the sealed segments. Exits with 1 where an environment step, its StepTaken and
its ControllerUpdated together, takes more than 65 of them. Times are processor seconds of this
process: of reading every record before and after, and of archiving itself.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from stairways.core.retention import RetentionRules
from stairways.service.archive import archive_run
from stairways.service.runs import run_names
from stairways.service.verify.log import verify_log
from stairways.store import archiving
from stairways.store.contract import Context
from stairways.store.opening import open_sql_store, upgrade
from stairways.store.sql import SqlStore

KINDS = """
    SELECT g.type, sum(g.events), sum(b.size) FROM segments g JOIN blobs b ON b.digest = g.digest
    GROUP BY g.type ORDER BY g.type"""
LIMIT = 65
"""Bytes of an environment step."""

PAYLOADS = "SELECT sum(length(payload)) FROM events WHERE type = ?"


def demo(folder: Path) -> Path:
    """Train the demo run and return its log."""
    command = [sys.executable, "-m", "stairways", "demo", "--folder", str(folder)]
    subprocess.run([*command, "--log-level", "error"], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
    return folder / "stairways.db"


def seconds(work: Callable[[], object]) -> float:
    """Return the processor seconds that ``work`` takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def read_all(store: SqlStore) -> None:
    """Read every record and throw it away."""
    for _ in store.read():
        pass


def archive_all(store: SqlStore) -> None:
    """Archive every closed run, long after its retention date."""
    numbers = iter(range(10**9))

    def context() -> Context:
        return Context(actor="bench", correlation="archive", append_id=f"bench-{next(numbers)}")

    later = datetime.now(UTC) + timedelta(days=40_000)
    for run in run_names(store):
        archive_run(store, run, rules=RetentionRules(), now=later, context=context)
    archiving.reclaim(store)


def main() -> int:
    """Archive a copy of a log and say what came of it."""
    with tempfile.TemporaryDirectory() as name:
        log = Path(sys.argv[1]) if len(sys.argv) > 1 else demo(Path(name) / "demo")
        file = Path(name) / "log.db"
        shutil.copy(log, file)
        url = f"sqlite:///{file}"
        upgrade(url)
        store = open_sql_store(url)
        size, reading = archiving.size_on_disk(store), seconds(lambda: read_all(store))
        kinds = ("StepTaken", "ControllerUpdated", "EvaluationStepTaken")
        before = {kind: store.rows(PAYLOADS, (kind,))[0][0] for kind in kinds}
        taken = seconds(lambda: archive_all(store))
        each: dict[str, float] = {}
        for kind, events, total in store.rows(KINDS, ()):
            each[kind] = total / events
            print(f"{kind:20} {events:9,} events {before[kind] / events:7.1f} bytes each as JSON,"
                  f" {each[kind]:5.1f} archived")  # fmt: skip
        pair = each["StepTaken"] + each["ControllerUpdated"]
        print(f"an environment step, StepTaken and ControllerUpdated together: {pair:.1f} bytes"
              f" (wanted: {LIMIT})")  # fmt: skip
        print(f"log {size:,} bytes, then {archiving.size_on_disk(store):,}")
        print(f"archiving {taken:.1f} s; reading all {reading:.1f} s before, "
              f"{seconds(lambda: read_all(store)):.1f} s after")  # fmt: skip
        store.close()
        report = verify_log(url)
        print(f"verify: {report.found} findings in {report.size:,} events")
    return 0 if pair <= LIMIT and report.clean else 1


if __name__ == "__main__":
    sys.exit(main())
