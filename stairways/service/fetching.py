"""Bars from a vendor: asked for, the answer's bytes kept, then read like any file."""

from collections.abc import Callable, Sequence
from pathlib import Path

from stairways.errors import BarsRefusedError
from stairways.market.aligned import Aligned
from stairways.market.loading import load_read
from stairways.market.options import Options
from stairways.market.series import Basis
from stairways.market.yahoo import read_answer, request
from stairways.store.contract import EventStore

Answer = Callable[[str, dict[str, str | int]], bytes]
"""Takes an address and its parameters and returns the bytes of the answer."""

TIMEOUT = 30  # seconds


def fetch_yahoo(
    store: EventStore,
    symbols: Sequence[str],
    days: tuple[str, str],
    basis: Basis,
    *,
    answer: Answer,
) -> Aligned:
    """Return daily bars of ``symbols`` for the first to the last of ``days``.

    Each answer is a blob of ``store`` before it is read; ``sources`` of the result name it by
    its digest. Yahoo rewrites history with every split and dividend: the kept bytes show how.
    """
    start, end = days
    readings = []
    for symbol in symbols:
        content = answer(*request(symbol, start, end))
        store.put_blob(content)
        readings.append((Path(f"yahoo-{symbol}-{start}-{end}.json"), read_answer(content, symbol)))
    return load_read(readings, symbols, basis, Options(first=start, last=end))


def yahoo_answer(url: str, parameters: dict[str, str | int]) -> bytes:
    """Return what Yahoo answers, asked through yfinance, which minds its cookies and crumbs."""
    try:
        from yfinance.data import YfData  # noqa: PLC0415 - an extra that takes pandas with it
    except ImportError as error:
        raise BarsRefusedError(
            "Fetching from Yahoo needs an extra: pip install 'stairways[yahoo]'."
        ) from error
    from curl_cffi.requests.exceptions import RequestException  # noqa: PLC0415 - comes with it
    from yfinance.exceptions import YFException  # noqa: PLC0415 - as above

    try:
        response = YfData().get(url, params=parameters, timeout=TIMEOUT)
    except (RequestException, YFException, OSError) as error:
        raise BarsRefusedError(f"Yahoo does not answer: {error}") from error
    return bytes(response.content)
