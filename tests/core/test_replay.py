"""When a replayed profit agrees with the recorded one, and what a report says of it."""

from fractions import Fraction

import pytest

from stairways.core.replay.report import Finding, LevelReport, Profit, Report, Threshold
from stairways.core.values import Micros, Position

CAPITAL = 100_000_000_000
BASIS_POINT = CAPITAL // 10_000


def profit(recorded: int, replayed: int, part: str = "cycle 1 attempt 1") -> Profit:
    return Profit(
        part=part,
        cycle=1,
        attempt=1,
        position=Position(2),
        recorded=Micros(recorded),
        replayed=Micros(replayed),
    )


def level(*profits: Profit, found: int = 0, threshold: Threshold | None = None) -> LevelReport:
    return LevelReport(
        level="ledger",
        checked={"StepTaken": 3, "quantities": 40},
        findings=[],
        found=found,
        profits=profits,
        capital=Micros(CAPITAL),
        threshold=threshold or Threshold(),
    )


@pytest.mark.parametrize(
    ("recorded", "replayed", "holds"),
    [
        (1_000_000_000, 1_000_000_000, True),
        (1_000_999_000, 1_000_000_000, True),  # 0.0999 %
        (1_001_000_000, 1_000_000_000, True),  # 0.1 %
        (1_001_001_000, 1_000_000_000, False),  # 0.1001 %
        (999_000_000, 1_000_000_000, True),
        (998_999_000, 1_000_000_000, False),
        (-1_001_000_000, -1_000_000_000, True),
        (-1_001_001_000, -1_000_000_000, False),
        (-1_000_000_000, 1_000_000_000, False),  # the sign is turned round
        (1_000_000_000, -1_000_000_000, False),
        (0, 0, True),
        (BASIS_POINT // 1000, 0, True),  # no profit counts as 1 bp of starting capital
        (BASIS_POINT // 1000 + 1, 0, False),
        (-(BASIS_POINT // 1000), 0, True),
        (0, BASIS_POINT // 1000, True),
        (0, BASIS_POINT // 1000 + 1, False),
    ],
)
def test_a_profit_holds_within_a_thousandth_of_itself_or_of_one_basis_point_of_capital(
    recorded: int, replayed: int, *, holds: bool
) -> None:
    assert Threshold().holds(recorded=recorded, replayed=replayed, capital=CAPITAL) is holds


def test_balances_must_agree_to_the_micro_unless_the_caller_allows_more() -> None:
    loose = Threshold(share=Fraction(1, 1000), exact=False)
    exact = Threshold()

    assert not exact.accepts(difference=1, profit=10**12, capital=CAPITAL)
    assert exact.accepts(difference=0, profit=10**12, capital=CAPITAL)
    assert loose.accepts(difference=10**9, profit=10**12, capital=CAPITAL)
    assert not loose.accepts(difference=10**9 + 1, profit=10**12, capital=CAPITAL)
    assert not loose.accepts(difference=BASIS_POINT // 1000 + 1, profit=0, capital=CAPITAL)


def test_profits_of_two_parts_that_are_wrong_by_opposite_amounts_do_not_cancel() -> None:
    report = level(profit(10**9, 0), profit(-(10**9), 0, "cycle 2 attempt 1"))

    assert report.recorded_profit == report.replayed_profit
    assert not report.profits_hold
    assert not report.clean


def test_a_report_is_clean_only_without_findings() -> None:
    assert level(profit(5, 5)).clean
    assert not level(profit(5, 5), found=1).clean


def test_quantities_are_not_counted_as_events() -> None:
    assert level().events == 3


def test_a_report_names_the_libraries_whose_version_changed_since_the_run() -> None:
    report = Report(
        run="r1",
        size=10,
        code_version="0.1.0",
        recorded_libraries={"numpy": "2.4.6", "python": "3.11.7", "torch": "2.13.0"},
        libraries={"numpy": "2.5.0", "python": "3.11.7", "orjson": "3.13.0"},
        levels=[level()],
    )

    assert report.other_libraries == {"numpy": ("2.4.6", "2.5.0")}
    assert report.clean


def test_the_first_difference_is_the_first_finding() -> None:
    assert level().first is None
    finding = Finding(
        position=Position(7),
        type="StepTaken",
        field="cash",
        expected=1,
        recorded=2,
        message="cash is 2, should be 1.",
    )
    found = LevelReport(
        level="ledger",
        checked={},
        findings=[finding],
        found=1,
        profits=[],
        capital=Micros(CAPITAL),
        threshold=Threshold(),
    )
    assert found.first == finding
