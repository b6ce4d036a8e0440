"""``audit gates``, ``skill``, ``seeds`` and ``folds`` on a log with two seeds of an experiment."""

import itertools
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner, Result

from stairways import cli
from stairways.cli.gate_matrix import matrix
from stairways.market.canonical import encode_bars
from stairways.service.skill.passes import passes
from stairways.service.stairway.run import Job, run_stairway
from stairways.store.contract import Context
from stairways.store.opening import open_sql_store
from tests.small_run import Quiet, small_plan
from tests.trained import BARS

_NUMBERS = itertools.count()
SHORT = {"stairway__targets": "0.7,0.6", "stairway__learning_rates": "3e-3,1e-3"}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with two finished runs that differ in their seed, and one of other settings."""
    file = tmp_path_factory.mktemp("results") / "log.db"
    store = open_sql_store(f"sqlite:///{file}")
    store.put_blob(encode_bars(BARS))
    for run, changes in (
        ("other", {"trading__borrow_rate": "0.03"}),
        ("one", {}),
        ("two", {"run__seed": "1"}),
    ):

        def context(run: str = run) -> Context:
            return Context(actor="test", correlation=run, append_id=f"n{next(_NUMBERS)}")

        plan = small_plan(**SHORT, **changes)
        run_stairway(
            Job(run=run, plan=plan, bars=BARS, store=store, context=context, watcher=Quiet())
        )
    store.close()
    return file


def audit(file: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(
        cli.main,
        ["--database-url", f"sqlite:///{file}", "--set", "audit.record=false", "audit", *arguments],
    )
    structlog.reset_defaults()
    return result


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_gates_are_shown_as_a_table_of_gates_by_cycles(recorded: Path) -> None:
    lines = audit(recorded, "gates", "one").stdout.splitlines()
    decided = rows(audit(recorded, "gates", "one", "--json"))
    assert lines[0].split() == ["gate", "limit", "1", "2"]
    assert [line.split()[0] for line in lines[1:-1]] == list(
        dict.fromkeys(row["gate"] for row in decided)
    )
    assert len(decided) == 2 * len(lines[1:-1])
    assert lines[-1].split()[0] == "verdict"
    skill = next(line for line in lines if line.startswith("skill"))
    assert skill.split() == ["skill", "1", "advice", "0", "✗", "0", "✗"]


def test_the_table_names_who_decided_against_the_gates_and_what_never_came_before_them() -> None:
    gate = {"gate": "drawdown", "cycle": 1, "value": 0.31, "threshold": 0.2, "reason": "deep"}
    cycles = [
        {"cycle": 1, "verdict": "promoted", "overridden_by": "ann"},
        {"cycle": 2, "verdict": "rolled back", "overridden_by": ""},
        {"cycle": 2, "verdict": "rejected", "overridden_by": ""},
    ]
    table, columns = matrix([{**gate, "passed": False, "blocking": True}], cycles)
    assert [column.heading for column in columns] == ["gate", "limit", "1", "2"]
    assert table == [
        {"gate": "drawdown", "limit": "0.2", "cycle_1": "0.31 ✗"},
        {"gate": "verdict", "limit": "", "cycle_1": "promoted by ann", "cycle_2": "rejected"},
    ]


def test_skill_tells_of_every_evaluation_and_counts_trials_of_all_runs(recorded: Path) -> None:
    found = rows(audit(recorded, "skill", "one", "--json"))
    assert [row["cycle"] for row in found] == [1, 2]
    assert [row["trials"] for row in found] == [3, 4]  # two of the run before
    assert [row["trials_now"] for row in found] == [6, 6]
    for row in found:
        assert row["sharpe_low"] < row["sharpe"] < row["sharpe_high"]
        assert row["deflated_now"] <= row["deflated_sharpe"] <= row["probabilistic_sharpe"]
        assert len(row["random"]) == 50
        assert row["random"] == sorted(row["random"])
    said = audit(recorded, "skill", "one").stdout
    assert "No evidence of skill: " in said
    assert "for 6 models tried" in said


def test_seeds_are_those_runs_that_differ_in_nothing_else(recorded: Path) -> None:
    profits = [
        [row["profit"] for row in rows(audit(recorded, "cycles", run, "--json"))]
        for run in ("one", "two")
    ]
    found = rows(audit(recorded, "seeds", "two", "--json"))
    by_figure = {(row["cycle"], row["figure"]): row for row in found}
    first = by_figure[1, "profit"]
    assert first["runs"] == 2
    assert first["value"] == pytest.approx((profits[0][0] + profits[1][0]) / 2)
    assert first["low"] == pytest.approx(min(profits[0][0], profits[1][0]))
    assert by_figure[2, "hold_rate_error"]["runs"] == 2
    assert {row["runs"] for row in rows(audit(recorded, "seeds", "other", "--json"))} == {1}


def test_bars_left_to_chance_make_an_interval_over_seeds_wider(recorded: Path) -> None:
    found = rows(audit(recorded, "seeds", "two", "--json"))
    for row in found:
        if row["figure"] in ("profit", "sharpe"):
            assert row["all_low"] < row["low"] <= row["value"] <= row["high"] < row["all_high"]
        else:
            assert (row["all_low"], row["all_high"]) == (None, None)
    alone = rows(audit(recorded, "seeds", "other", "--json"))
    assert all(row["low"] == row["value"] == row["high"] for row in alone)
    assert all(row["all_low"] < row["all_high"] for row in alone if row["figure"] == "sharpe")


def test_a_pass_read_from_the_log_is_the_one_that_was_judged(recorded: Path) -> None:
    with closing(open_sql_store(f"sqlite:///{recorded}")) as store:
        found = passes(store, "one")
    judged = [row for row in rows(audit(recorded, "cycles", "one", "--json")) if row["trades"]]
    assert len(judged) == len(found) == 2
    for row in judged:
        one = found[row["cycle"]]
        excess = one.above_cash
        ratio = excess.mean() / excess.std(ddof=1) * one.a_year**0.5
        assert (one.returns + 1).prod() - 1 == pytest.approx(row["profit"])
        assert ratio == pytest.approx(row["sharpe"])


def test_folds_of_a_run_that_is_none_are_refused(recorded: Path) -> None:
    result = audit(recorded, "folds", "one")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "stairways: Run one is no fold of a walk-forward; "
        "`stairways train --walk-forward K` makes one.\n"
    )
