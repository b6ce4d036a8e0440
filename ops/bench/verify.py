"""How fast a whole log is verified, beside merely reading its rows and hashing its payloads.

    python ops/bench/verify.py [EVENTS]     (default 2,000,000; the promise reaches to 10 million)

"verify" rehashes every record and folds the tree; "read" fetches the same rows and throws them
away; "hash" fetches them and takes one SHA-256 of each payload; both in one process. Peak memory
is this process's and that of the largest one it started. Exits with 1 where verifying with all
processors misses its limit.
"""

import hashlib
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from stairways.service.verify.log import verify_log
from stairways.store.opening import open_sql_store, upgrade
from stairways.store.raw import RawLog

BATCH = 1000
PAGE = 4096
LIMITS = {"sqlite": 500_000, "postgres": 300_000}
"""Events a second, on two processors."""


def fill(url: str, events: int) -> None:
    """Append ``events`` controller events in batches of a thousand."""
    from ops.bench.append import appending  # noqa: PLC0415 - processes of verify import this module

    upgrade(url)
    store = open_sql_store(url)
    one = appending(store, BATCH)
    for _ in range(events // BATCH):
        one()
    store.close()


def read(url: str, events: int, look: Callable[[bytes], object] | None = None) -> None:
    """Fetch every row of ``events`` in pages, and ``look`` at the payloads."""
    with RawLog(url) as log:
        for first in range(1, events + 1, PAGE):
            rows = log.events(first, first + PAGE - 1)
            if look is not None:
                for row in rows:
                    look(row[3])


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that ``work`` takes, and those of processors that it used."""
    start, used = time.perf_counter(), processor_time()
    work()
    return time.perf_counter() - start, processor_time() - used


def processor_time() -> float:
    """Return the processor seconds of this process and of those it started and waited for."""
    return sum(os.times()[:4])


def measure(kind: str, url: str, events: int) -> bool:
    """Print events a second for each way of looking at the log; say if the limit is kept."""
    fill(url, events)
    processes = len(os.sched_getaffinity(0))
    read_alone, used = timed(lambda: read(url, events))
    ways: dict[str, Callable[[], object]] = {
        "hash": lambda: read(url, events, lambda payload: hashlib.sha256(payload).digest()),
        "verify, 1 process": lambda: verify_log(url, processes=1),
        f"verify, {processes} processes": lambda: verify_log(url, processes=processes),
    }
    seconds = read_alone
    print(
        f"{kind:9} {'read':20} {events / seconds:10,.0f} events/s{'':21}{used:7.1f} s of processor"
    )
    for name, way in ways.items():
        seconds, used = min(timed(way) for _ in range(2))
        ratio = read_alone / seconds
        print(
            f"{kind:9} {name:20} {events / seconds:10,.0f} events/s   {ratio:5.2f} of reading "
            f"{used:7.1f} s of processor"
        )
    print(f"{kind:9} (wanted: {LIMITS[kind]:,}), peak memory so far {peak()} for {events:,} events")
    return events / seconds >= LIMITS[kind]


def peak() -> str:
    """Return the largest memory of this process and of those it started and waited for."""
    sides = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    own, others = (resource.getrusage(side).ru_maxrss // 1024 for side in sides)
    return f"{own} MB here, {others} MB in another process"


def main() -> int:
    """Measure on both databases."""
    from ops.bench.append import server  # noqa: PLC0415 - as above

    events = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        kept = [measure("sqlite", f"sqlite:///{folder}/log.db", events)]
        with server(folder) as url:
            kept.append(measure("postgres", url("log"), events))
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
