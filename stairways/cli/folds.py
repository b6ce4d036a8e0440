"""A walk-forward, fold by fold, and what its test windows say together."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from stairways.cli.printing import Column, Form, percent, print_json, print_rows
from stairways.core.controller import SATURATED_FOR_LONG
from stairways.service.stairway.walk_forward import Fold, Walk
from stairways.service.tabular import Cell

if TYPE_CHECKING:
    from stairways.bootstrap import App


def _signed(share: Cell) -> str:
    return f"{share:+.1%}" if isinstance(share, float) else "-"


def _day(time: Cell) -> str:
    return f"{time:%Y-%m-%d}" if hasattr(time, "strftime") else "-"


def _ratio(value: Cell) -> str:
    return f"{value:.2f}" if isinstance(value, float) else "-"


FOLDS = (
    "fold",
    Column("first", "test from", _day),
    Column("last", "to", _day),
    Column("target", "target", percent),
    Column("hold_rate", "held", percent),
    Column("profit", "return", _signed),
    Column("buy_and_hold", "buy & hold", _signed),
    Column("drawdown", "drawdown", percent),
    Column("sharpe", "sharpe", _ratio),
    Column("deflated", "deflated", _ratio),
    "tried",
    Column("beaten", "> random", percent),
    "status",
)
ALL_OF_FOLDS = tuple(field.name for field in fields(Fold))


def print_walk(app: "App", found: Walk, form: Form) -> None:
    """Print a row for each fold, for people with what they say together."""
    if form == "json":
        print_json(asdict(found))
        return
    columns = FOLDS if form == "table" else ALL_OF_FOLDS
    print_rows(app.out, [asdict(fold) for fold in found.folds], columns, form)
    if form == "table":
        tested = sum(fold.profit is not None for fold in found.folds)
        app.out.print(
            f"\nWalk-forward {found.walk}: {tested} of {len(found.folds)} folds served a model; "
            f"their tests one after the other {found.profit:+.1%}, buy-and-hold on the same bars "
            f"{found.buy_and_hold:+.1%}."
        )
        for line in saturation_sentence(found.folds):
            app.out.print(line)
        app.out.print(f"{found.reason[0].upper()}{found.reason[1:]}.")


def saturation_sentence(folds: Sequence[Fold]) -> Iterator[str]:
    """Yield in which tests an actuator of the controller was at its limit for long."""
    spent = [
        f"{fold.fold} ({fold.saturated:.0%} of decisions)"
        for fold in folds
        if fold.saturated is not None and fold.saturated >= SATURATED_FOR_LONG
    ]
    if spent:
        yield f"An actuator was at its limit for long in the test of fold {', '.join(spent)}."
