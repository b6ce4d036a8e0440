"""Calendars: sessions, daylight saving, early closes, other countries, stamps of bar ends."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from stairways.errors import BarsRefusedError
from stairways.market import Aligned, load_bars

NEW_YORK = ZoneInfo("America/New_York")
HOUR = 3_600_000_000_000


class WriteFile(Protocol):
    def __call__(self, name: str, lines: Sequence[str] | bytes) -> Path: ...


def kinds(aligned: Aligned) -> Counter[str]:
    found: Counter[str] = Counter()
    for finding in aligned.findings:
        found[finding.kind] += finding.count
    return found


def day(date: str, times: Sequence[str]) -> list[str]:
    return [f"{date} {clock},10,12,9,11,100" for clock in times]


def clocks(first: str, last: str, minutes: int) -> list[str]:
    begin, end = (datetime.fromisoformat(f"2024-01-01T{clock}") for clock in (first, last))
    count = int((end - begin) / timedelta(minutes=minutes)) + 1
    return [f"{begin + timedelta(minutes=minutes * i):%H:%M:%S}" for i in range(count)]


HEADER = "Datetime,Open,High,Low,Close,Volume"
REGULAR = clocks("09:30", "15:55", 5)


def test_a_session_opens_at_its_own_hour_on_both_sides_of_daylight_saving(write: WriteFile) -> None:
    lines = [HEADER, *day("2024-03-08", REGULAR), *day("2024-03-11", REGULAR)]
    bars = load_bars([write("XYZ.csv", lines)], adjustment="raw", timezone="America/New_York").bars
    assert (bars.session[0], bars.session[-1], len(bars)) == (0, 1, 156)
    opens = np.unique(bars.session_open)
    assert np.diff(opens) == 71 * HOUR  # three days, one of them of 23 hours
    assert set((bars.session_close - bars.session_open) // HOUR) == {6}
    assert (bars.times[bars.session == 1][0], bars.timezone) == (opens[1], "America/New_York")


def test_the_same_minutes_in_another_zone_are_the_same_bars(write: WriteFile) -> None:
    local = [HEADER, *day("2024-03-08", REGULAR), *day("2024-03-11", REGULAR)]
    utc, offset = [HEADER], [HEADER]
    for line in local[1:]:
        stamp, _, rest = line.partition(",")
        moment = datetime.fromisoformat(stamp).replace(tzinfo=NEW_YORK)
        utc.append(f"{moment.astimezone(ZoneInfo('UTC')):%Y-%m-%dT%H:%M:%SZ},{rest}")
        offset.append(f"{moment:%Y-%m-%d %H:%M:%S%z},{rest}")
    named = [HEADER, *day("2024-03-08", [f"{c} EST" for c in REGULAR])]
    named += day("2024-03-11", [f"{c} EDT" for c in REGULAR])
    naive = load_bars([write("a/XYZ.csv", local)], adjustment="raw", timezone="America/New_York")
    for number, lines in enumerate((utc, offset, named)):
        other = load_bars([write(f"{number}/XYZ.csv", lines)], adjustment="raw")
        assert other.bars.digest == naive.bars.digest


@pytest.mark.parametrize("clock", ["02:30:00", "01:30:00"])
def test_an_hour_that_does_not_exist_or_occurs_twice_is_refused(
    clock: str, write: WriteFile
) -> None:
    date = "2024-03-10" if clock.startswith("02") else "2024-11-03"
    lines = [HEADER, *day("2024-03-08", REGULAR[:2]), *day(date, [clock])]
    with pytest.raises(BarsRefusedError, match="line 4: this hour does not exist, or occurs twice"):
        load_bars([write("XYZ.csv", lines)], adjustment="raw", timezone="America/New_York")


def test_missing_sessions_early_closes_gaps_and_extended_hours_are_found(write: WriteFile) -> None:
    thursday = ["08:00:00", *REGULAR[:10], *REGULAR[11:], "16:00:00"]
    early = clocks("09:30", "12:55", 5)  # 2024-11-29, the day after Thanksgiving
    lines = [HEADER, *day("2024-11-26", thursday), *day("2024-11-29", early)]
    lines += day("2024-11-30", REGULAR[:3])  # a Saturday
    path = write("XYZ.csv", lines)
    aligned = load_bars([path], adjustment="raw", timezone="America/New_York")
    assert kinds(aligned) == {
        "missing session": 1,  # the 27th; the 28th is a holiday
        "early close": 1,
        "gap": 1,
        "outside session": 5,
    }
    assert len(aligned.bars) == 77 + 42
    every = load_bars([path], adjustment="raw", timezone="America/New_York", hours="all")
    assert len(every.bars) == 77 + 42 + 2  # never those of a day without a session
    assert every.bars.session_open[0] > every.bars.times[0]


def test_bars_stamped_at_their_end_are_asked_for_and_then_moved(write: WriteFile) -> None:
    ends = clocks("09:35", "16:00", 5)
    path = write("XYZ.csv", [HEADER, *day("2024-03-08", ends), *day("2024-03-11", ends)])
    with pytest.raises(BarsRefusedError, match="say stamps start or end"):
        load_bars([path], adjustment="raw", timezone="America/New_York")
    moved = load_bars([path], adjustment="raw", timezone="America/New_York", stamps="end")
    starts = [HEADER, *day("2024-03-08", REGULAR), *day("2024-03-11", REGULAR)]
    plain = load_bars([write("s/XYZ.csv", starts)], adjustment="raw", timezone="America/New_York")
    assert moved.bars.digest == plain.bars.digest


def test_the_last_half_hour_of_hourly_bars_starts_at_half_past_three(write: WriteFile) -> None:
    ends = [*clocks("10:30", "15:30", 60), "16:00:00"]
    path = write("XYZ.csv", [HEADER, *day("2024-03-08", ends), *day("2024-03-11", ends)])
    bars = load_bars([path], adjustment="raw", timezone="America/New_York", stamps="end").bars
    assert set((bars.times - bars.session_open) // (HOUR // 2)) == set(range(0, 13, 2))


@pytest.mark.parametrize(
    ("symbol", "calendar", "zone"),
    [("0700.HK", "XHKG", "Asia/Hong_Kong"), ("VOD.L", "XLON", "Europe/London"),
     ("SAP.DE", "XETR", "Europe/Berlin"), ("NVDA", "XNYS", "America/New_York"),
     ("BRK.B", "XNYS", "America/New_York")],
)  # fmt: skip
def test_the_suffix_of_a_symbol_says_which_exchange_it_is(
    symbol: str, calendar: str, zone: str, write: WriteFile
) -> None:
    lines = ["Date,Open,High,Low,Close,Volume"]
    lines += [f"2024-01-0{n},10,12,9,11,100" for n in (3, 4, 5)]
    bars = load_bars([f"{symbol}={write('x.csv', lines)}"], adjustment="raw").bars
    assert (bars.calendar, bars.timezone) == (calendar, zone)


@pytest.mark.parametrize("symbol", ["^N225", "XYZ.QQ"])
def test_an_unknown_exchange_is_asked_for(symbol: str, write: WriteFile) -> None:
    path = write("x.csv", ["Date,Open,High,Low,Close,Volume", "2024-01-04,10,12,9,11,100"])
    with pytest.raises(BarsRefusedError, match="say which exchange's calendar applies"):
        load_bars([f"{symbol}={path}"], adjustment="raw")
    with pytest.raises(BarsRefusedError, match="No calendar 'XQQQ'"):
        load_bars([f"{symbol}={path}"], adjustment="raw", calendar="XQQQ")
    assert (
        load_bars([f"{symbol}={path}"], adjustment="raw", calendar="XTKS").bars.calendar == "XTKS"
    )


@pytest.mark.parametrize(
    ("stamps", "name"),
    [(["2024-01-05", "2024-01-12", "2024-01-19"], "weekly"),
     (["2024-01-02", "2024-02-01", "2024-03-01"], "monthly"),
     (["2024-01-02 09:30", "2024-01-02 09:45", "2024-01-02 10:00"], "15-minute")],
)  # fmt: skip
def test_other_frequencies_are_refused_by_name(
    stamps: list[str], name: str, write: WriteFile
) -> None:
    path = write("XYZ.csv", [HEADER, *(f"{stamp},10,12,9,11,100" for stamp in stamps)])
    with pytest.raises(BarsRefusedError, match=f"these are {name} bars"):
        load_bars([path], adjustment="raw", timezone="America/New_York")
