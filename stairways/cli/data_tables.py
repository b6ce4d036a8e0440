"""How `stairways data` shows bars: tables for people, the same facts as JSON for programs."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from stairways.cli.printing import Column, short, shown
from stairways.service.tabular import Cell

if TYPE_CHECKING:
    from stairways.core.events import DataFindingRaised
    from stairways.market.bars import Bars
    from stairways.market.checking import Checked
    from stairways.market.comparing import Difference, LeftOut
    from stairways.market.findings import Finding
    from stairways.service.data import Registered

Columns = Sequence[Column | str]
LISTED = 5
"""How many findings of a kind and symbol are listed unless all are asked for."""

SPARKS = "▁▂▃▄▅▆▇█"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def day(cell: Cell) -> str:
    """Return a time for people: a date where it is midnight, else with the minute in UTC."""
    if not isinstance(cell, datetime):
        return "-"
    midnight = (cell.hour, cell.minute, cell.second) == (0, 0, 0)
    return f"{cell:%Y-%m-%d}" if midnight else f"{cell:%Y-%m-%d %H:%MZ}"


def share(cell: Cell) -> str:
    """Return a share as a signed percentage."""
    return f"{cell:+.2%}" if isinstance(cell, float) else "-"


def factors_text(cell: Cell) -> str:
    """Return the split bases of a comparison, one after the other."""
    bases = cell if isinstance(cell, list) else []
    return " → ".join(f"{base['factor']:.4g}" for base in bases if isinstance(base, dict))


FIRST, LAST, TIME = Column("first", show=day), Column("last", show=day), Column("time", show=day)
CHECKED: Columns = (
    *("file", "layout", "symbol", "frequency", "rows", "usable"),
    *(FIRST, LAST, Column("found", "findings")),
)
FINDINGS: Columns = ("symbol", "kind", "count", "row", TIME, "detail")
RAISED: Columns = ("symbol", "kind", "row", TIME, "detail")
REGISTERED: Columns = (
    *("name", "symbols", "frequency", "adjustment", "rows", FIRST, LAST),
    *("findings", "simulated", Column("digest", show=short)),
)
ALL_REGISTERED: Columns = (
    *("name", "symbols", "frequency", "adjustment", "timezone", "calendar", "simulated", "rows"),
    *("first", "last", "dropped", "sources", "findings", "digest", "registered_at", "position"),
)
KEPT: Columns = ("symbol", "bars", "kept", "left out")
LEFT_OUT: Columns = ("symbol", TIME, "row", "no bar of")
DIFFERENCES: Columns = (
    *("symbol", "common", "only in A", "only in B"),
    *(Column("factors", "B / A", factors_text), Column("apart", "bars over 0.1% apart")),
)
WORST: Columns = ("symbol", TIME, "close A", "close B", Column("away", "B / A - 1", share))


def moment(nanoseconds: int | None) -> datetime | None:
    """Return nanoseconds since 1970 as a time in UTC."""
    return None if nanoseconds is None else _EPOCH + timedelta(microseconds=nanoseconds // 1000)


def checked_row(one: "Checked") -> dict[str, Cell]:
    """Return a checked file as a row; ``found`` counts its findings by kind."""
    return {
        "file": one.file,
        "digest": one.digest,
        "layout": one.layout,
        "symbol": one.symbol,
        "frequency": one.frequency,
        "rows": one.rows,
        "usable": one.usable,
        "refused": one.refused,
        "first": moment(one.first),
        "last": moment(one.last),
        "found": counted(one.counts),
    }


def checked_json(one: "Checked") -> dict[str, Cell]:
    """Return a checked file with every finding."""
    return {
        **checked_row(one),
        "found": dict(one.counts),
        "findings": [finding_row(finding) for finding in one.findings],
    }


def counted(counts: Mapping[str, int]) -> str:
    """Return counts in one line, the most frequent kind first."""
    parts = [f"{count:,} {kind}" for kind, count in Counter(counts).most_common()]
    return ", ".join(parts) or "none"


def finding_row(finding: "Finding") -> dict[str, Cell]:
    """Return a finding as a row."""
    return {
        "symbol": finding.symbol,
        "kind": finding.kind,
        "file": finding.file,
        "refused": finding.refused,
        "count": finding.count,
        "row": finding.row or None,
        "time": moment(finding.time),
        "detail": finding.detail,
    }


def raised_row(finding: "DataFindingRaised") -> dict[str, Cell]:
    """Return a recorded finding as a row."""
    return {
        "symbol": finding.symbol,
        "kind": finding.kind,
        "row": finding.row or None,
        "time": finding.time,
        "detail": finding.detail,
    }


def finding_of(raised: "DataFindingRaised") -> "Finding":
    """Return a recorded finding as the one that was found; its count is not recorded."""
    from stairways.market.findings import Finding  # noqa: PLC0415 - help starts in a blink

    microseconds = (
        None if raised.time is None else (raised.time - _EPOCH) // timedelta(microseconds=1)
    )
    return Finding(
        kind=raised.kind,
        symbol=raised.symbol,
        row=raised.row,
        time=None if microseconds is None else microseconds * 1000,
        detail=raised.detail,
    )


def counts_of(findings: Iterable["Finding"]) -> Counter[str]:
    """Return how many bars, sessions or stamps each kind of finding stands for."""
    counts: Counter[str] = Counter()
    for finding in findings:
        counts[finding.kind] += finding.count
    return counts


def findings_sentence(findings: Iterable["Finding"]) -> str:
    """Return in one sentence that bars have findings, how many of each kind, and where to look."""
    said = ", ".join(f"{count:,} {kind}" for kind, count in counts_of(findings).items())
    return f"the bars have findings ({said}); `stairways data check FILE` shows them"


def first_of_each(findings: Sequence["Finding"], listed: int) -> Iterator["Finding"]:
    """Yield the first ``listed`` findings of each kind and symbol."""
    seen: Counter[tuple[str, str]] = Counter()
    for finding in findings:
        seen[finding.symbol, finding.kind] += 1
        if seen[finding.symbol, finding.kind] <= listed:
            yield finding


def registered_row(one: "Registered") -> dict[str, Cell]:
    """Return a registration as a row."""
    event = one.event
    return {
        "name": event.name,
        "symbols": list(event.symbols),
        "frequency": event.frequency,
        "adjustment": event.adjustment,
        "timezone": event.timezone,
        "calendar": event.calendar,
        "simulated": event.simulated,
        "rows": event.rows,
        "first": event.first,
        "last": event.last,
        "dropped": dict(event.dropped),
        "sources": dict(event.sources),
        "findings": event.findings,
        "digest": event.digest,
        "registered_at": one.recorded_at,
        "position": one.position,
    }


def describe(one: "Registered") -> Iterator[str]:
    """Yield lines that say what registered bars are."""
    event = one.event
    yield f"{shown(event.name)}: {', '.join(event.symbols)}, {event.frequency} bars"
    if event.simulated:
        yield "SIMULATED: made by chance; no market ever saw these prices"
    yield f"  range       {day(event.first)} to {day(event.last)}"
    yield f"  rows        {event.rows:,} of each symbol"
    yield f"  adjustment  {event.adjustment}"
    yield f"  calendar    {event.calendar} ({event.timezone})"
    yield f"  left out    {counted(event.dropped) if any(event.dropped.values()) else 'none'}"
    yield f"  findings    {event.findings:,}"
    yield f"  digest      {event.digest}"
    for name, digest in event.sources.items():
        yield f"  source      {shown(name)} {digest[:16]}…"


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """Return values as a line of blocks, the mean of each stretch on a logarithmic scale."""
    count = min(width, len(values))
    edges = [len(values) * i // count for i in range(count + 1)]
    means = [math.log(sum(values[a:b]) / (b - a)) for a, b in itertools.pairwise(edges)]
    low, high = min(means), max(means)
    scale = (len(SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(SPARKS[round((mean - low) * scale)] for mean in means)


def sparklines(bars: "Bars") -> Iterator[str]:
    """Yield a line of closes for each symbol, between its first and last close."""
    width = max(map(len, bars.symbols))
    for column, symbol in enumerate(bars.symbols):
        closes = (bars.close[:, column] / 1e6).tolist()
        line = sparkline(closes)
        yield f"  {symbol:<{width}}  {closes[0]:>10,.2f} {line} {closes[-1]:,.2f}"


def left_out_row(one: "LeftOut") -> dict[str, Cell]:
    """Return a bar that the join leaves out as a row."""
    return {
        "symbol": one.symbol,
        "time": moment(one.time),
        "row": one.row,
        "no bar of": ", ".join(one.lacking),
    }


def difference_row(one: "Difference") -> dict[str, Cell]:
    """Return how two vintages of a symbol differ as a row."""
    return {
        "symbol": one.symbol,
        "same": one.same,
        "common": one.common,
        "only in A": one.only_a,
        "only in B": one.only_b,
        "factors": [{"from": moment(time), "factor": factor} for time, factor in one.bases],
        "apart": counted({name: n for name, n in one.apart.items() if n}),
    }


def worst_rows(differences: Iterable["Difference"]) -> Iterator[dict[str, Cell]]:
    """Yield the bars on which two vintages disagree most."""
    for one in differences:
        for time, mine, theirs in one.worst:
            yield {
                "symbol": one.symbol,
                "time": moment(time),
                "close A": mine,
                "close B": theirs,
                "away": theirs / mine - 1.0,
            }
