"""``stairways rebuild``: any model of any moment, from the log."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stairways.cli.portable import enter_recorded
from stairways.cli.printing import print_json
from stairways.cli.writing import check_place, write_whole
from stairways.core.values import Position

if TYPE_CHECKING:
    from stairways.bootstrap import App
    from stairways.service.rebuild import Rebuilt
    from stairways.service.stairway.run import Job
    from stairways.store.contract import EventStore

KINDS = (".safetensors", ".zip")


class Time(click.ParamType[datetime]):
    """A time in ISO 8601; without an offset it is UTC."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the time in UTC, or say how to write one."""
        try:
            time = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time; write it as 2026-01-31T14:30:00Z.", param, ctx)
        return time.replace(tzinfo=time.tzinfo or UTC)


@click.command()
@click.option("--run", default="latest", show_default=True, help="The run.")
@click.option(
    "--at",
    "position",
    type=click.IntRange(1),
    metavar="POSITION",
    help="As it stood after the event at this position.",
)
@click.option("--cycle", type=click.IntRange(1), help="As the training of this cycle left it.")
@click.option("--time", type=Time(), metavar="TIME", help="As it stood at this time.")
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="model.safetensors: parameters alone. model.zip: an archive of stable-baselines3.",
)
@click.option("--for-audit", is_flag=True, help="Also while serving is halted; never to trade by.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def command(  # noqa: PLR0917 - click passes by name
    app: "App",
    run: str,
    position: int | None,
    cycle: int | None,
    time: datetime | None,
    out: Path,
    for_audit: bool,  # noqa: FBT001 - a flag of the command line
    as_json: bool,  # noqa: FBT001 - as above
) -> None:
    """Write the model as it stood at a moment, rebuilt from the log and its blobs.

    The parameters are those the log names by their digest, or nothing is written. Where states
    were kept of every k-th update only, those between are executed again.
    """
    if sum(choice is not None for choice in (position, cycle, time)) != 1:
        raise click.UsageError("Say when: --at POSITION, --cycle N or --time TIME.")
    if out.suffix not in KINDS:
        raise click.UsageError(f"--out {out}: the name must end in {' or '.join(KINDS)}.")
    check_place("--out", out)
    from stairways.service.operation.halt import refuse_when_halted  # noqa: PLC0415 - help must start light
    from stairways.service.rebuild import Moment, rebuild  # noqa: PLC0415 - help must start light
    from stairways.service.runs import find_run  # noqa: PLC0415 - as above

    with app.log(read_only=True) as store:
        if not for_audit:
            refuse_when_halted(store)
        job = recorded_job(app, store, find_run(store, run))
        place = None if position is None else Position(position)
        rebuilt = rebuild(job, Moment(position=place, cycle=cycle, time=time))
        content = rebuilt.safetensors() if out.suffix == KINDS[0] else rebuilt.archive(job)
    write_whole("--out", out, content)
    if as_json:
        print_json(_json(rebuilt, out))
    else:
        click.echo(rebuilt.digest)
        click.echo(_remark(rebuilt, out), err=True)


def recorded_job(app: "App", store: "EventStore", run: str) -> "Job":
    """Return a run of the log with its own settings and bars."""
    from stairways.cli.watching import Watcher  # noqa: PLC0415 - help must start light
    from stairways.service.data import load_registered  # noqa: PLC0415 - as above
    from stairways.service.stairway.run import Job  # noqa: PLC0415 - as above
    from stairways.service.stairway.unfinished import start_of  # noqa: PLC0415 - as above

    start = start_of(store, run)
    enter_recorded(start.settings)
    plan = app.recorded_plan(start.settings, run)
    return Job(
        run=run,
        plan=plan,
        bars=load_registered(store, start.data),
        store=store,
        context=lambda: app.context(run),
        watcher=Watcher(plan),
    )


def _json(rebuilt: "Rebuilt", out: Path) -> dict[str, Any]:
    now, calibration = rebuilt.standing, rebuilt.calibration
    return {
        "run": rebuilt.run,
        "file": str(out),
        "parameters": rebuilt.digest,
        "position": now.position,
        "event": now.kind,
        "state": now.state,
        "state_position": now.captured,
        "updates_executed_again": rebuilt.reexecuted,
        "base_margin": calibration[1] if calibration else None,
        "base_margin_position": calibration[0] if calibration else None,
    }


def _remark(rebuilt: "Rebuilt", out: Path) -> str:
    """Return in a few sentences what was written."""
    now = rebuilt.standing
    said = f"{out}: run {rebuilt.run} as {now.kind} at position {now.position} left it."
    if rebuilt.reexecuted:
        said += f" {rebuilt.reexecuted} updates were executed again from {now.captured}."
    if out.suffix != KINDS[1]:
        return said
    if rebuilt.calibration is None:
        return f"{said} These parameters were never calibrated: no margin is in the archive."
    position, margin = rebuilt.calibration
    return f"{said} The base margin {margin:.4f} of position {position} is in the hold bias."
