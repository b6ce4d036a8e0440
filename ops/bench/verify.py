"""How fast a whole log is verified, beside merely reading its rows and hashing its payloads.

    python ops/bench/verify.py [EVENTS]     (default 300,000; the issue asks for up to 10 million)

"verify" rehashes every record and folds the tree; "read" fetches the same rows and throws them
away; "hash" fetches them and takes one SHA-256 of each payload. Peak memory is this process's.
"""

import hashlib
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from ops.bench.append import appending, server
from stairways.service.verify import verify_log
from stairways.store.opening import open_sql_store, upgrade
from stairways.store.raw import RawLog

BATCH = 1000
PAGE = 8192


def fill(url: str, events: int) -> None:
    """Append ``events`` controller events in batches of a thousand."""
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


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that ``work`` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(kind: str, url: str, events: int) -> None:
    """Print events a second for each way of looking at the log."""
    fill(url, events)
    ways: dict[str, Callable[[], object]] = {
        "read": lambda: read(url, events),
        "hash": lambda: read(url, events, lambda payload: hashlib.sha256(payload).digest()),
        "verify, 1 process": lambda: verify_log(url, processes=1),
        "verify, 2 processes": lambda: verify_log(url, processes=2),
    }
    taken = {name: min(timed(way) for _ in range(3)) for name, way in ways.items()}
    for name, seconds in taken.items():
        ratio = taken["read"] / seconds
        print(f"{kind:9} {name:20} {events / seconds:10,.0f} events/s   {ratio:5.2f} of reading")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{kind:9} peak memory so far {peak} MB for {events:,} events")


def main() -> None:
    """Measure on both databases."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        measure("sqlite", f"sqlite:///{folder}/log.db", events)
        with server(folder) as url:
            measure("postgres", url("log"), events)


if __name__ == "__main__":
    main()
