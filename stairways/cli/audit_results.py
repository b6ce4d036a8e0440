"""``stairways audit skill``, ``seeds`` and ``folds``: what results are worth."""

from dataclasses import asdict
from itertools import groupby

import click

from stairways.bootstrap import App
from stairways.cli.asking import asked
from stairways.cli.folds import print_walk
from stairways.cli.printing import Column, Form, form_options, percent, print_rows
from stairways.service.runs import LATEST, find_run
from stairways.service.skill.seeds import OverSeeds, over_seeds
from stairways.service.skill.told import conclusion_lines
from stairways.service.skill.weighing import ALL_OF_SKILL, conclusion, skill_rows
from stairways.service.stairway.walk_forward import walk_of
from stairways.service.tabular import Cell


def _signed(share: Cell) -> str:
    return f"{share:+.1%}" if isinstance(share, float) else "-"


def _ratio(value: Cell) -> str:
    return f"{value:.2f}" if isinstance(value, float) else "-"


SKILL = (
    "cycle",
    Column("attempt", "try"),
    "window",
    Column("profit_low", "return from", _signed),
    Column("profit", "return", _signed),
    Column("profit_high", "to", _signed),
    Column("sharpe", "sharpe", _ratio),
    Column("deflated_now", "deflated", _ratio),
    Column("trials_now", "tried"),
    Column("over_buy_and_hold_low", "over b&h from", _signed),
    Column("over_buy_and_hold_high", "to", _signed),
    Column("beaten", "beats random", percent),
    Column("skill_now", "skill"),
)


@click.command(short_help="Say what each result is worth, and whether it shows any skill.")
@click.argument("run", default=LATEST)
@form_options
@click.pass_obj
def skill(app: App, run: str, form: Form) -> None:
    """Say of every evaluation of RUN what it is worth against chance and simple strategies.

    Figures stand between the bounds of their intervals. Deflated is the probability that the
    true Sharpe ratio is above the best to expect of so many models without skill; tried are all
    models that this log says were evaluated on any of the same bars, up to now.
    """
    with asked(app, "skill", run=run) as log:
        name = find_run(log, run)
        print_rows(app.out, skill_rows(log, name), SKILL if form == "table" else ALL_OF_SKILL, form)
        if form == "table":
            for line in conclusion_lines(conclusion(log, name)):
                app.out.print(line)


@click.command(short_help="Summarise runs that differ in their seed only.")
@click.argument("run", default=LATEST)
@form_options
@click.pass_obj
def seeds(app: App, run: str, form: Form) -> None:
    """Summarise validation over all finished runs that differ from RUN in seed and model only.

    Interquartile means over runs, with their bootstrap intervals over runs, and where returns
    are concerned over runs and blocks of bars together: other seeds on other bars of the kind.
    """
    with asked(app, "seeds", run=run) as log:
        found = over_seeds(log, find_run(log, run))
        if form == "table":
            print_rows(app.out, _by_cycle(found), SEEDS, form)
        else:
            print_rows(app.out, [asdict(one) for one in found], ALL_OF_SEEDS, form)


@click.command(short_help="Show a walk-forward fold by fold, and what its tests say together.")
@click.argument("run", default=LATEST)
@form_options
@click.pass_obj
def folds(app: App, run: str, form: Form) -> None:
    """Show the walk-forward that RUN is a fold of: each test window, and all of them together."""
    with asked(app, "folds", run=run) as log:
        print_walk(app, walk_of(log, find_run(log, run)), form)


ALL_OF_SEEDS = ("cycle", "figure", "runs", "low", "value", "high", "all_low", "all_high")
SEEDS = (
    "cycle",
    "runs",
    Column("hold_rate_error", "off target"),
    "drawdown",
    Column("profit", "return"),
    Column("all_of_profit", "with other bars"),
    "sharpe",
    Column("all_of_sharpe", "with other bars"),
)


def _by_cycle(found: list[OverSeeds]) -> list[dict[str, Cell]]:
    """Return a row for each cycle, in which every figure stands with its interval."""
    rows = []
    for cycle, figures in groupby(found, key=lambda one: one.cycle):
        row: dict[str, Cell] = {"cycle": cycle}
        for one in figures:
            row |= {"runs": one.runs, one.figure: _between(one)}
            row[f"all_of_{one.figure}"] = _with_bars(one)
        rows.append(row)
    return rows


def _between(one: OverSeeds) -> str:
    return f"{_number(one, one.value)} ({_number(one, one.low)} to {_number(one, one.high)})"


def _with_bars(one: OverSeeds) -> str:
    if one.all_low is None or one.all_high is None:
        return "-"
    return f"{_number(one, one.all_low)} to {_number(one, one.all_high)}"


def _number(one: OverSeeds, number: float) -> str:
    return f"{number:.2f}" if one.figure == "sharpe" else f"{number:.1%}"
