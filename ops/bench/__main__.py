"""Run every benchmark and sum up: ``make bench``.

    python -m ops.bench [--quick] [NAME …]

What a benchmark says is printed as it says it; at the end stands a table of those that ran, with
each figure that has a limit. ``--quick`` takes small sizes, to see that all of it works: its
figures are rough, and start-up weighs more in them. Exits with 1 where a limit is missed and with
2 where something could not be measured.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
LONGEST = 3600
"""Seconds after which a benchmark is ended and counts as not measured."""

QUIET = {**os.environ, "STAIRWAYS_LOG__LEVEL": "warning"}
"""The environment of a benchmark: what a run says on stderr would stand between its figures."""

KEPT, MISSED = 0, 1
VERDICTS = {KEPT: "kept", MISSED: "MISSED"}

BENCHMARKS: dict[str, tuple[str, ...]] = {
    "append": ("--turns", "2"),
    "verify": ("600000",),
    "rebuild": ("--copies", "3"),
    "archive": (),
    "audit_overhead": ("--rounds", "2"),
    "state_capture": ("--rounds", "2"),
    "metrics_cost": ("--rounds", "1"),
    "portable": ("--rounds", "1", "--processes", "1"),
    "environment": ("--alone",),
    "data_ingest": ("--rows", "500000"),
    "console": ("--events", "50000"),
    "exports": ("--events", "480000", "--on", "sqlite"),
}
"""Every benchmark that takes minutes, with what makes it quick."""

BY_HAND = {
    "hold_rate": "hours: 120 runs of the stairway",
    "other_machine": "needs the log of another machine or an emulated processor",
}
"""Benchmarks that ``make bench`` leaves out, and why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a benchmark came to: its exit code, and the lines that name a limit."""

    name: str
    code: int
    seconds: float
    figures: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """Return one word for the table."""
        return VERDICTS.get(self.code, "not measured")


def run(name: str, arguments: tuple[str, ...]) -> Outcome:
    """Run one benchmark, print what it says, and keep what has a limit."""
    print(f"== {name} {' '.join(arguments)}", flush=True)
    command = ["timeout", str(LONGEST), sys.executable, str(FOLDER / f"{name}.py"), *arguments]
    start, said = time.monotonic(), list[str]()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=QUIET) as process:  # noqa: S603 - our own program
        assert process.stdout is not None  # noqa: S101 - it was asked for
        for line in process.stdout:
            print(line, end="", flush=True)
            said.append(line)
    limited = tuple(" ".join(line.split()) for line in said if re.search("wanted|allowed", line))
    return Outcome(name, process.returncode, time.monotonic() - start, limited)


def summary(outcomes: list[Outcome]) -> str:
    """Return the table: a line for each benchmark, and its figures below."""
    lines = [f"\n{'benchmark':16} {'seconds':>7}  limits"]
    for one in outcomes:
        lines.append(f"{one.name:16} {one.seconds:7.0f}  {one.verdict}")
        lines += [f"{'':26}{figure}" for figure in one.figures]
    lines += [f"{name:16} {'-':>7}  by hand ({why})" for name, why in BY_HAND.items()]
    return "\n".join(lines)


def main() -> int:
    """Run what was named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, rough figures")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    given = parser.parse_args()
    if odd := set(given.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(odd))}")
    outcomes = [
        run(name, quick if given.quick else ())
        for name, quick in BENCHMARKS.items()
        if not given.names or name in given.names
    ]
    print(summary(outcomes))
    codes = {one.code for one in outcomes}
    return KEPT if codes == {KEPT} else MISSED if codes <= {KEPT, MISSED} else 2


if __name__ == "__main__":
    sys.exit(main())
