"""Fetching from Yahoo, with recorded answers and no network."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from stairways.core.values import digest_of
from stairways.errors import BarsRefusedError
from stairways.market.series import Basis
from stairways.market.yahoo import read_answer, request
from stairways.service.fetching import fetch_yahoo, yahoo_answer
from stairways.store.memory import MemoryStore

# Trading days 8 to 12 March 2024, stamped at the open, across the change to summer time.
NOW = datetime(2024, 3, 12, 21, tzinfo=UTC)
STAMPS = [1709908200, 1710163800, 1710250200]


def answer(symbol: str, **changes: list[object]) -> bytes:
    quote: dict[str, list[object]] = {
        "open": [10.0, 11.0, 12.0],
        "high": [12.0, 13.0, 14.0],
        "low": [9.0, 10.0, 11.0],
        "close": [11.0, 12.0, 13.0],
        "volume": [100, 200, 300],
    }
    result = {
        "meta": {"symbol": symbol, "exchangeTimezoneName": "America/New_York"},
        "timestamp": STAMPS,
        "indicators": {"quote": [quote | changes], "adjclose": [{"adjclose": [5.5, 6.0, 6.5]}]},
    }
    return json.dumps({"chart": {"result": [result], "error": None}}).encode()


class Recorded:
    """Answers that were recorded; remembers what was asked."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, str | int]]] = []

    def __call__(self, url: str, parameters: dict[str, str | int]) -> bytes:
        self.asked.append((url, parameters))
        return self.answers[url.rpartition("/")[2]]


def test_fetched_bars_name_the_kept_bytes_they_come_from() -> None:
    store, recorded = MemoryStore(lambda: NOW), Recorded({s: answer(s) for s in ("NVDA", "MSFT")})
    aligned = fetch_yahoo(
        store, ("NVDA", "MSFT"), ("2024-03-08", "2024-03-12"), Basis(adjustment="splits"),
        answer=recorded,
    )  # fmt: skip
    assert aligned.bars.symbols == ("NVDA", "MSFT")
    assert aligned.bars.close[:, 0].tolist() == [11_000_000, 12_000_000, 13_000_000]
    dates = aligned.bars.times.astype("M8[ns]").astype("M8[D]").astype(str).tolist()
    assert dates == ["2024-03-08", "2024-03-11", "2024-03-12"]
    assert {store.get_blob(digest) for digest in aligned.sources.values()} == {
        answer("NVDA"),
        answer("MSFT"),
    }
    (url, parameters), _ = recorded.asked
    assert url == "https://query2.finance.yahoo.com/v8/finance/chart/NVDA"
    assert (parameters["period1"], parameters["period2"]) == (1709856000, 1710288000)


def test_adjusted_prices_are_taken_when_they_are_asked_for() -> None:
    aligned = fetch_yahoo(
        MemoryStore(lambda: NOW), ("NVDA",), ("2024-03-08", "2024-03-12"),
        Basis(adjustment="splits+dividends"), answer=Recorded({"NVDA": answer("NVDA")}),
    )  # fmt: skip
    assert np.array_equal(aligned.bars.close[:, 0], [5_500_000, 6_000_000, 6_500_000])
    assert np.array_equal(aligned.bars.open[:, 0], [5_000_000, 5_500_000, 6_000_000])


def test_a_vendor_rewriting_history_is_seen_in_both_digests() -> None:
    store = MemoryStore(lambda: NOW)
    days, basis = ("2024-03-08", "2024-03-12"), Basis(adjustment="splits")
    old, new = answer("NVDA"), answer("NVDA", close=[1.1, 1.2, 1.3], open=[1.0, 1.1, 1.2])
    first, second = (
        fetch_yahoo(store, ("NVDA",), days, basis, answer=Recorded({"NVDA": content}))
        for content in (old, new)
    )
    assert first.bars.digest != second.bars.digest
    assert list(first.sources.values()) == [digest_of(old)]
    assert store.get_blob(digest_of(old)) == old


def asked_at(last_trade: int) -> bytes:
    """An answer to a question of 12 March: that day's opening, and its last trade at some time."""
    rows: dict[str, list[object]] = {
        "open": [10.0, 11.0, 12.0, 12.0],
        "high": [12.0, 13.0, 14.0, 14.0],
        "low": [9.0, 10.0, 11.0, 11.0],
        "close": [11.0, 12.0, None, 13.5],
        "volume": [100, 200, 300, 300],
    }
    whole = json.loads(answer("NVDA", **rows))
    result = whole["chart"]["result"][0]
    result["timestamp"] = [*STAMPS, last_trade]
    result["indicators"]["adjclose"][0]["adjclose"] = rows["close"]
    result["meta"] |= {
        "regularMarketTime": last_trade,
        "currentTradingPeriod": {"regular": {"start": STAMPS[2], "end": STAMPS[2] + 23_400}},
    }
    return json.dumps(whole).encode()


@pytest.mark.parametrize(
    ("seconds", "closes", "kinds"),
    [
        (7_200, [11_000_000, 12_000_000], {"placeholder", "unfinished session"}),
        (23_401, [11_000_000, 12_000_000, 13_500_000], {"placeholder"}),
    ],
)
def test_the_day_of_an_open_session_is_no_bar_and_that_of_a_closed_one_is(
    seconds: int, closes: list[int], kinds: set[str]
) -> None:
    aligned = fetch_yahoo(
        MemoryStore(lambda: NOW), ("NVDA",), ("2024-03-08", "2024-03-12"),
        Basis(adjustment="splits"), answer=Recorded({"NVDA": asked_at(STAMPS[2] + seconds)}),
    )  # fmt: skip
    assert aligned.bars.close[:, 0].tolist() == closes
    assert {finding.kind for finding in aligned.findings} == kinds


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html>Too Many Requests</html>", "this is no chart answer"),
        (b'{"chart": {"result": null, "error": {"description": "No data found"}}}',
         "Yahoo says: No data found"),
        (b'{"chart": {"result": [{"meta": {}}], "error": null}}', "this is no chart answer"),
        (b"[" * 100_000, "this is no chart answer"),
        (answer("X", close=[1.0]), "holds no table"),
        (answer("X", close=["a", "b", "c"]), "a price is empty"),
    ],
)  # fmt: skip
def test_an_answer_that_holds_no_bars_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(BarsRefusedError, match=reason):
        fetch_yahoo(
            MemoryStore(lambda: NOW),
            ("X",),
            ("2024-03-08", "2024-03-12"),
            Basis(adjustment="splits"),
            answer=Recorded({"X": content}),
        )


def test_what_is_no_symbol_or_date_is_never_asked_for() -> None:
    for symbol, start in (("../x", "2024-01-02"), ("NVDA?x=1", "2024-01-02"), ("NVDA", "soon")):
        with pytest.raises(BarsRefusedError):
            request(symbol, start, "2024-01-03")


def test_the_question_goes_through_yfinance(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pytest.importorskip("yfinance.data", reason="the extra yahoo is not installed")
    asked: dict[str, object] = {}

    def get(_: object, url: str, params: dict[str, object], timeout: int) -> SimpleNamespace:
        asked.update(url=url, params=params, timeout=timeout)
        return SimpleNamespace(content=answer("NVDA"))

    monkeypatch.setattr(data.YfData, "get", get)
    assert yahoo_answer("https://example.invalid/NVDA", {"interval": "1d"}) == answer("NVDA")
    assert asked["params"] == {"interval": "1d"}
    assert read_answer(answer("NVDA"), "NVDA").rows == 3
