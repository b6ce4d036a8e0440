"""What `data check` says of a file: how it was read, what each symbol has, what is wrong."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stairways.core.values import Digest
from stairways.errors import BarsRefusedError
from stairways.market.findings import NOTES, Finding
from stairways.market.options import Options
from stairways.market.reader import Reading
from stairways.market.series import Basis, Series, load_series, read_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The bars of one symbol in one file. ``first`` and ``last`` are nanoseconds UTC.

    ``rows`` counts what stands in the file, ``usable`` what is left of it for an account.
    """

    file: str
    digest: Digest
    layout: str
    symbol: str
    frequency: str
    rows: int
    usable: int
    first: int
    last: int
    series: Series

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return everything found in the bars of this symbol."""
        return self.series.findings

    @property
    def refused(self) -> bool:
        """Whether the bars cannot be used without a declaration or another range."""
        return any(finding.refused for finding in self.findings)

    @property
    def clean(self) -> bool:
        """Whether there is nothing to report; saying what was done is no report."""
        return all(finding.kind in NOTES for finding in self.findings)

    @property
    def counts(self) -> Counter[str]:
        """Return how many bars, sessions or stamps each kind of finding stands for."""
        found: Counter[str] = Counter()
        for finding in self.findings:
            found[finding.kind] += finding.count
        return found


def check_file(
    written: str | Path, basis: Basis, options: Options, symbols: Sequence[str] = ()
) -> list[Checked]:
    """Return what is in a file, symbol by symbol.

    Raises ``BarsRefusedError`` for what cannot be read at all, or not in one way only.
    """
    ((path, reading),) = read_all([written], options)
    wanted = [symbol for symbol in reading.bars if not symbols or symbol in symbols]
    if not wanted:
        raise BarsRefusedError(f"{path.name}: it has none of {', '.join(symbols)}.")
    return [
        _checked(reading, load_series(symbol, [(path, reading)], basis, options))
        for symbol in wanted
    ]


def _checked(reading: Reading, series: Series) -> Checked:
    times = series.seen["time"]
    if not len(times):
        raise BarsRefusedError(
            f"{reading.name}: no bars of {series.symbol} in the range asked for."
        )
    return Checked(
        file=reading.name,
        digest=reading.digest,
        layout=reading.layout,
        symbol=series.symbol,
        frequency=series.frequency,
        rows=len(reading.bars[series.symbol]),
        usable=len(series.table),
        first=times[0],
        last=times[-1],
        series=series,
    )
