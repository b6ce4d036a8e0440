import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest

from stairways.cli.columns import CYCLES
from stairways.cli.demo import program
from stairways.cli.printing import Column, table_lines
from stairways.cli.summary import sentence, steering_sentences
from stairways.core.projections import CycleSummary, RunSummary, Verdict
from stairways.core.steering import Steering
from stairways.core.values import digest_of
from stairways.service.tabular import Row

COLUMNS = [Column(key) if isinstance(key, str) else key for key in CYCLES]


def attempt(cycle: int, number: int, verdict: Verdict, held: float | None) -> CycleSummary:
    return CycleSummary(
        cycle=cycle,
        attempt=number,
        name=f"cycle_{cycle:02d}_hold_75%",
        target=0.75,
        learning_rate=3e-4,
        parent=digest_of(b"parent"),
        verdict=verdict,
        updates=10,
        training_hold_rate=held,
    )


def test_the_sentence_counts_the_rows_above_it() -> None:
    cycles = (
        attempt(1, 1, "promoted", 0.75),
        attempt(2, 1, "rolled back", None),
        attempt(2, 2, "rejected", 0.6),
        attempt(3, 1, "rolled back", None),
        attempt(3, 2, "rejected", None),
    )

    said = sentence(RunSummary(cycles=cycles, steps=5000, rollbacks=4))

    assert said == (
        "1 of 3 cycles promoted, 1 rejected by gates, 1 for diverging in every attempt, "
        "3 attempts rolled back for divergence; 5,000 steps, 2,000 of them repeated."
    )


def test_where_nothing_was_repeated_the_sentence_says_nothing_of_it() -> None:
    said = sentence(RunSummary(cycles=(attempt(1, 1, "promoted", 0.75),), steps=1000))

    assert said.endswith("0 attempts rolled back for divergence; 1,000 steps.")


@pytest.mark.parametrize(
    ("decisions", "held", "trades", "wanted"),
    [(100, 0.75, 5, 0.2), (100, 0.75, 50, 2.0), (100, 1.0, 0, None), (None, None, None, None)],
)
def test_filled_is_orders_for_each_decision_to_trade(
    decisions: int | None, held: float | None, trades: int | None, wanted: float | None
) -> None:
    one = replace(
        attempt(1, 1, "promoted", 0.7), decisions=decisions, hold_rate=held, trades=trades
    )

    assert one.filled == wanted


@pytest.mark.parametrize("screen", [60, 80, 100, 100_000])
@pytest.mark.parametrize("failed", [("profit_shortfall", "drawdown"), "profit_shortfall,drawdown"])
def test_the_widest_cycle_fits_100_columns(screen: int, failed: str | tuple[str, ...]) -> None:
    row: Row = {
        "cycle": 8,
        "attempt": 3,
        "target": 0.75,
        "hold_rate": 1.0,
        "filled": 1.2345,
        "profit": -0.4321,
        "drawdown": 0.4321,
        "divergence": 0.1499,
        "verdict": "rolled back",
        "failed": failed,
    }

    lines = list(table_lines([row], COLUMNS, screen))

    assert max(len(click.unstyle(line)) for line in lines) <= min(screen, 100)
    if screen >= 100:
        assert lines[1].endswith("  profit_shortfall,")
        assert lines[2].strip() == "drawdown"
    else:
        assert lines[-1] == "  failed gates: profit_shortfall, drawdown"


def test_the_summary_says_what_the_actuators_were_worth_and_where_they_were_spent() -> None:
    steered = {
        (1, 1): Steering(bonus_ratio=0.9, margin_reach=12.0, saturated=0.0),
        (2, 1): Steering(bonus_ratio=1.4, margin_reach=8.5, training_saturated=0.43, saturated=0.2),
    }

    assert list(steering_sentences(steered)) == [
        "Controller: a hold earned 0.90 to 1.40 standard deviations of the other reward terms.",
        "On validation bars its margin could move by ±8.50 to ±12.00 logits.",
        (
            "An actuator was at its limit for long in cycle 2 (43% of training, "
            "20% of validation); it could do no more."
        ),
    ]


def test_of_an_old_log_nothing_is_said_about_actuators() -> None:
    assert list(steering_sentences({(1, 1): Steering()})) == []


def test_a_promoted_cycle_has_nothing_in_the_last_column() -> None:
    (_, line) = table_lines([{"cycle": 1, "verdict": "promoted", "failed": ()}], COLUMNS, 100)

    assert line.endswith("promoted")


@pytest.mark.parametrize(
    ("path", "called", "said"),
    [
        ("", "env/bin/stairways", "env/bin/stairways"),
        ("", "other/bin/stairways", "../other/bin/stairways"),
        ("env/bin", "env/bin/stairways", "stairways"),
    ],
)
def test_the_program_is_named_as_one_can_call_it_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, called: str, said: str
) -> None:
    here = tmp_path / "here"
    for folder in (here / "env", tmp_path / "other"):
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "stairways").write_text("#!/bin/sh\n")
        (folder / "bin" / "stairways").chmod(0o755)
    monkeypatch.chdir(here)
    monkeypatch.setenv("PATH", str(here / path) if path else "")
    start = here if called.startswith("env") else tmp_path
    monkeypatch.setattr(sys, "argv", [str(start / called)])

    assert program() == said
