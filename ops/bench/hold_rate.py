"""Measure how well the hold rate meets its target, on bars the policy has not seen.

Runs whole stairways on real bars of the shared market folder, by pair, frequency and seed, with
both actuators, each alone, and none, and prints for each how far the validation hold rate was
from its target at most over all cycles, how many cycles were outside of the range their gate
allows, the lowest effectiveness, and how far the last third of training was off at most. Cycles
that diverged in every attempt have no validation and are counted.

With ``--results FILE`` each stairway is written there when it is done, and a second call goes
on with those that are missing. Exits with 1 where a run with both actuators missed a target.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from stairways.bootstrap import App, Flags
from stairways.cli.watching import Watcher
from stairways.core.events import CycleFinished
from stairways.core.projections import CycleSummary
from stairways.market.aligned import Aligned
from stairways.market.loading import load_bars
from stairways.service.data import register_bars
from stairways.service.stairway.journal import decoded
from stairways.service.stairway.run import Job, run_stairway
from stairways.service.stairway.unfinished import summary_of
from stairways.store.memory import MemoryStore

SHARED = Path(os.environ.get("STAIRWAYS_SHARED", "../shared")) / "market"
LONG, RECENT = "gcfc__money-tree", "jinit2000__stock-analyzer-ml-v2"
DAILY = "AkshayJha22__Cross-Sectional-Momentum-Strategy-Replication-Backtesting-Framework"
OLD = "YifanWang2002__Stock-Visulize-and-Predict"
HOURLY, FIVE = "otaboyevsardorbek1__quantumflow_ai_trading", "jeffreymalkus__alert_overlay"
WINDOWS = {"stairway.train_until": "2017-01-01", "stairway.calibrate_until": "2019-07-01"}
MODES: dict[str, dict[str, str]] = {
    "both": {},
    "margin only": {"controller.base_multiple": "0"},
    "bonus only": {"controller.use_margin": "false"},
    "off": {"controller.use_margin": "false", "controller.base_multiple": "0"},
}
ERROR, EFFECTIVE, TRAINING = 0.02, 0.94, 0.05


@dataclass(frozen=True)
class Pair:
    """Real bars of two symbols, and settings that go with them."""

    name: str
    files: tuple[str, ...]
    windows: bool = False  # the dates of the flagship run
    timezone: str | None = None

    def load(self) -> Aligned:
        """Read the files."""
        paths = [SHARED / file for file in self.files]
        return load_bars(paths, adjustment="splits", timezone=self.timezone)


PAIRS = (
    Pair(
        "NVDA+MSFT 1d",
        (f"{LONG}/NVDA_1d.csv.gz", f"{RECENT}/NVDA.parquet",
         f"{LONG}/MSFT_1d.csv.gz", f"{RECENT}/MSFT.parquet"),
        windows=True,
    ),
    Pair("NVDA+MSFT 1h", (f"{HOURLY}/NVDA_1h.csv.gz", f"{HOURLY}/MSFT_1h.csv.gz")),
    Pair("NVDA+MSFT 5m", (f"{FIVE}/NVDA_5min.csv.gz", f"{FIVE}/MSFT_5min.csv.gz"),
         timezone="America/New_York"),
    Pair("AAPL+MSFT 1d", (f"{RECENT}/AAPL.parquet", f"{RECENT}/MSFT.parquet")),
    Pair("AMD+INTC 1d", (f"{DAILY}/AMD_daily.csv.gz", f"{DAILY}/INTC_daily.csv.gz")),
    Pair("KO+PG 1d", (f"{DAILY}/KO_daily.csv.gz", f"{DAILY}/PG_daily.csv.gz")),
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """One stairway: what its cycles came to."""

    pair: str
    mode: str
    seed: int
    extra: tuple[str, ...]  # settings given beside those of the mode
    errors: tuple[float, ...]  # |validation hold rate - target| of each judged cycle
    hold_rates: tuple[float, ...]  # on validation
    effectiveness: tuple[float, ...]
    training: tuple[float, ...]  # |last third of training - target|
    outside: int  # judged cycles whose hold rate was not inside [0.40, 0.75]
    promoted: int
    cycles: int

    @property
    def key(self) -> tuple[str, str, int, tuple[str, ...]]:
        """Return which stairway this is the result of."""
        return self.pair, self.mode, self.seed, self.extra


def climb(pair: Pair, mode: str, seed: int, extra: Sequence[str]) -> Result:
    """Run one stairway in a log of its own and return what it came to."""
    flags = Flags()
    chosen = {**MODES[mode], **(WINDOWS if pair.windows else {}), "run.seed": str(seed)}
    for name, value in [*chosen.items(), *(text.split("=", 1) for text in extra)]:
        flags.give(name, value, "the benchmark")
    app = App(flags, {})
    app.console.quiet = True
    store = MemoryStore(lambda: datetime.now(UTC))
    plan, aligned = app.plan(), pair.load()
    register_bars(store, aligned, "bench", app.context("bench"))
    job = Job(
        run="bench",
        plan=plan,
        bars=aligned.bars,
        store=store,
        context=lambda: app.context("bench"),
        watcher=Watcher(plan),
    )
    run_stairway(job)
    finished = [decoded(record) for record in store.read(types=["CycleFinished"])]
    thirds = [e.last_third_hold_rate for e in finished if isinstance(e, CycleFinished)]
    return _result(pair, mode, seed, tuple(extra), summary_of(store, "bench").cycles, thirds)


def _result(  # noqa: PLR0917 - what names a stairway, and what came of it
    pair: Pair,
    mode: str,
    seed: int,
    extra: tuple[str, ...],
    cycles: Sequence[CycleSummary],
    thirds: Sequence[float],
) -> Result:
    judged = [cycle for cycle in cycles if cycle.hold_rate is not None]
    return Result(
        pair=pair.name,
        mode=mode,
        seed=seed,
        extra=extra,
        errors=tuple(abs((c.hold_rate or 0.0) - c.target) for c in judged),
        hold_rates=tuple(c.hold_rate or 0.0 for c in judged),
        effectiveness=tuple(c.effectiveness or 0.0 for c in judged),
        training=tuple(abs(t - c.target) for t, c in zip(thirds, judged, strict=True)),
        outside=sum("hold_rate_range" in cycle.failed for cycle in judged),
        promoted=sum(cycle.verdict == "promoted" for cycle in cycles),
        cycles=len({cycle.cycle for cycle in cycles}),
    )


def lines(results: Sequence[Result]) -> Iterator[str]:
    """Yield the table, one line a pair and mode, over all seeds."""
    head = ("pair", "mode", "seeds", "judged", "largest error", "mean error", "outside",
            "effectiveness from", "training off by", "promoted")  # fmt: skip
    yield " | ".join(head)
    yield " | ".join("-" * len(title) for title in head)
    for key in dict.fromkeys((r.pair, r.mode) for r in results):
        mine = [r for r in results if (r.pair, r.mode) == key]
        errors = [error for r in mine for error in r.errors]
        cycles = sum(r.cycles for r in mine)
        cells = (
            *key,
            str(len(mine)),
            f"{len(errors)}/{cycles}",
            f"{max(errors):.4f}",
            f"{statistics.mean(errors):.4f}",
            f"{sum(r.outside for r in mine)}",
            f"{min(e for r in mine for e in r.effectiveness):.3f}",
            f"{max(e for r in mine for e in r.training):.4f}",
            f"{sum(r.promoted for r in mine)}/{cycles}",
        )
        yield " | ".join(cells)


def met(result: Result) -> bool:
    """Say whether a run with both actuators did what it must."""
    return (
        max(result.errors) <= ERROR
        and not result.outside
        and min(result.effectiveness) >= EFFECTIVE
        and max(result.training) <= TRAINING
    )


def read_results(file: Path | None) -> list[Result]:
    """Return what earlier calls have written to ``file``."""
    if file is None or not file.exists():
        return []
    rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return [Result(**{name: _hashable(cell) for name, cell in row.items()}) for row in rows]


def _hashable(cell: Any) -> Any:  # noqa: ANN401 - any JSON
    return tuple(cell) if isinstance(cell, list) else cell


def measure(
    work: Sequence[tuple[Pair, str, int]], extra: Sequence[str], jobs: int, file: Path | None
) -> Iterator[Result]:
    """Run every stairway of ``work``, yield each as it ends, and append it to ``file``."""
    with ProcessPoolExecutor(jobs) as pool, Progress(console=Console(stderr=True)) as bar:
        futures = [pool.submit(climb, *one, extra) for one in work]
        for done in bar.track(as_completed(futures), len(futures), description="stairways"):
            result = done.result()
            if file is not None:
                with file.open("a", encoding="utf-8") as lines_of:
                    lines_of.write(json.dumps(asdict(result)) + "\n")
            yield result


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--pairs", default="", help="only pairs whose name contains this")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--jobs", type=int, default=2, help="stairways at a time")
    parser.add_argument("--results", type=Path, help="go on with this file of results")
    parser.add_argument("--json", action="store_true", help="print every result as JSON instead")
    parser.add_argument("--set", dest="extra", action="append", default=[])
    return parser.parse_args()


def main() -> int:
    """Run what was asked for, print the table, and fail where a target was missed."""
    given = parsed()
    wanted = [
        (pair, mode, seed)
        for mode in given.modes.split(",")
        for seed in range(given.first_seed, given.first_seed + given.seeds)
        for pair in PAIRS
        if given.pairs in pair.name
    ]
    order = {(pair.name, mode, seed, tuple(given.extra)): i for i, (pair, mode, seed) in
             enumerate(wanted)}  # fmt: skip
    known = {r.key: r for r in read_results(given.results) if r.key in order}
    missing = [one for one, key in zip(wanted, order, strict=True) if key not in known]
    measured = measure(missing, given.extra, given.jobs, given.results)
    known |= {result.key: result for result in measured}
    results = sorted(known.values(), key=lambda result: order[result.key])
    print(json.dumps([asdict(r) for r in results]) if given.json else "\n".join(lines(results)))
    missed = [r for r in results if r.mode == "both" and not met(r)]
    for result in missed:
        print(f"missed: {result}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
