"""``stairways demo``: the main job on real bars that come with a Python package."""

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import click

from stairways.cli.portable import enter
from stairways.cli.preconditions import refuse_database_url
from stairways.cli.printing import shown
from stairways.cli.summary import print_summary
from stairways.cli.train import job_on, train
from stairways.errors import BarsRefusedError

if TYPE_CHECKING:
    from stairways.bootstrap import App
    from stairways.store.contract import EventStore

PACKAGE, FILE = "bokeh_sampledata", "_data/stocks.csv.gz"
SYMBOLS = ("AAPL", "MSFT")


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Where the log goes.",
)
@click.option("--seed", metavar="N", help="Seed of all chance in the run [default: 0].")
@click.pass_obj
def command(app: "App", folder: Path, seed: str | None) -> None:
    """Train on real daily bars of AAPL and MSFT, replay the ledger, verify the log.

    The bars, 2000-03-01 to 2013-03-01, come from the Python package bokeh-sampledata, with
    prices adjusted for splits and dividends as the vendor did.
    """
    from stairways.market.loading import load_bars  # noqa: PLC0415 - help must start in a blink
    from stairways.service.folding import folded_steering  # noqa: PLC0415 - as above
    from stairways.service.skill.weighing import conclusion  # noqa: PLC0415 - as above

    if seed is not None:
        app.flags.give("run.seed", seed, "--seed")
    refuse_database_url(app, "the demo keeps its log in --folder")
    path = bars_file()
    url = f"sqlite:///{folder / 'stairways.db'}"
    app.flags.give("log.database_url", url, "--folder")
    app.plan()
    folder.mkdir(parents=True, exist_ok=True)
    enter(portable=app.settings.run.portable)
    app.out.print(f"Real bars: {', '.join(SYMBOLS)} daily, from {path.name} of {PACKAGE}.")
    app.out.print(f"The log:   {url}\n")
    job, store = job_on(app, load_bars([path], symbols=SYMBOLS, adjustment="splits+dividends"))
    try:
        summary = train(app, job)
        told = folded_steering(store, job.run), conclusion(store, job.run)
        print_summary(app, job.run, summary, *told, as_json=False)
        clean = _replay(app, store, job.run) and _verify(app)
    finally:
        store.close()
    _tell_what_next(app, url)
    raise SystemExit(0 if clean else 1)


def bars_file() -> Path:
    """Return where the package keeps its bars, without importing it."""
    spec = find_spec(PACKAGE)
    places: Sequence[str] = (spec.submodule_search_locations or ()) if spec else ()
    for place in places:
        if (path := Path(place) / FILE).is_file():
            return path
    raise BarsRefusedError(f"The demo needs {PACKAGE}: pip install 'stairways[demo]'.")


def _replay(app: "App", store: "EventStore", run: str) -> bool:
    """Replay the ledger of the run and say how it went."""
    from stairways.service.replay.run import record_report, replay_run  # noqa: PLC0415 - as above
    from stairways.service.runs import run_stream  # noqa: PLC0415 - as above

    with app.progress("replay", store.version(run_stream(run))) as bar:
        report = replay_run(store, run, watcher=bar)
    record_report(store, report, app.context(run))
    level = report.levels[0]
    for finding in level.findings:
        app.out.print(f"  {finding.position}: {shown(finding.message)}")
    verdict = "every balance agrees" if report.clean else f"{level.found} findings"
    quantities = level.checked.get("quantities", 0)
    app.out.print(f"Replay: {level.events:,} events, {quantities:,} quantities: {verdict}.")
    return report.clean


def _tell_what_next(app: "App", url: str) -> None:
    app.out.print("\nWhat to look at next:")
    for words in ("audit gates latest", "replay latest --json", "verify"):
        app.out.print(f"  {program()} --database-url {url} {words}", soft_wrap=True)


def program() -> str:
    """Return how the program that runs is called from the current folder."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return f"{os.path.relpath(sys.executable)} -m stairways"
    if which(started.name) == str(started.absolute()):
        return started.name
    return os.path.relpath(started)


def _verify(app: "App") -> bool:
    """Rehash the log and say how it went."""
    from stairways.service.verify.log import verify_log  # noqa: PLC0415 - as above

    report = verify_log(app.database_url)
    for finding in report.findings:
        app.out.print(f"  {shown(str(finding))}")
    verdict = "nothing was changed" if report.clean else f"{len(report.findings)} findings"
    app.out.print(f"Verify: {report.size:,} events rehashed, root {report.root[:16]}…: {verdict}.")
    return report.clean
