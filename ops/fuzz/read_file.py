"""Feed made-up files to the reader of market bars until one is neither loaded nor refused.

    python ops/fuzz/read_file.py -max_total_time=60 [corpus folder]

Coverage-guided by atheris (pip install 'stairways[soak]'); the options are libFuzzer's. A crash
is written to a file named crash-…, which read_file then has to refuse.
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["stairways.market"]):
    from stairways.errors import BarsRefusedError
    from stairways.market.canonical import decode_bars
    from stairways.market.loading import load_bars

HEADERS = (
    b"Date,Open,High,Low,Close,Volume\n",
    b"Ticker,Date,Open,High,Low,Close,Volume,Adj Close\n",
    b"Price,Close,High,Low,Open,Volume\nTicker,AAA,AAA,AAA,AAA,AAA\nDate,,,,,\n",
    b"",
)
FOLDER = Path(tempfile.mkdtemp())


def try_one(data: bytes) -> None:
    """Read ``data`` as a file under one of the headers, and as canonical content."""
    if not data:
        return
    path = FOLDER / "XYZ.csv"
    path.write_bytes(HEADERS[data[0] % len(HEADERS)] + data[1:])
    with contextlib.suppress(BarsRefusedError):
        load_bars([path], adjustment="splits+dividends", timezone="America/New_York")
    with contextlib.suppress(BarsRefusedError):
        decode_bars(b"stairways-bars/1\n" + data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()
