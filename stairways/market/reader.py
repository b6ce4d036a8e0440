"""One file as columns of bars: layout recognised, cells read, nothing judged yet."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from stairways.core.values import Digest
from stairways.errors import BarsRefusedError
from stairways.market.canonical import SYMBOL
from stairways.market.cells import numbers
from stairways.market.layouts import DELIMITERS, PRICES, Layout, layout_of, parquet_pairs, recognise
from stairways.market.options import Limits, Options
from stairways.market.source import Block, blocks, container_of, digest_of_file, refuse, split
from stairways.market.stamping import Clock

VALUES = (*PRICES, "volume", "adjusted")
Parts = dict[str, list[pl.DataFrame]]
"""The tables of each symbol, in the order of the file."""

HEADER_LINES = 4
LARGEST_WIDTH = 16  # columns, on average over as many rows as a file may have
_NOT_A_SYMBOL = re.compile(
    r"(?i)^(|us|d|data|daily|intraday|hourly|historical|historicaldata|history|stocks?|prices?"
    r"|bars|ohlcv?|\d*(m|h|d|min|day|hour|minute|wk|mo))$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What stands in one file, in the order of the file.

    ``bars`` maps each symbol to a table with the columns ``row`` (line in the file, or row
    of a Parquet file from 1), ``time`` (nanoseconds UTC, or midnight UTC of the date),
    ``open``, ``high``, ``low``, ``close``, ``volume`` and ``adjusted`` (real, null where
    the file says nothing). ``stamps`` says whether the times are ``dates`` or ``instants``.
    ``dates`` says how the order of day and month was settled where that mattered. ``notes``
    are kind and detail of what the source says of its own rows.
    """

    name: str
    digest: Digest
    layout: str
    stamps: Literal["dates", "instants"]
    dates: str
    has_volume: bool
    has_adjusted: bool
    bars: Mapping[str, pl.DataFrame]
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def rows(self) -> int:
        """Return how many bars the file holds, over all symbols."""
        return sum(len(table) for table in self.bars.values())


def read_file(path: Path | str, options: Options | None = None, symbol: str = "") -> Reading:
    """Return the bars that stand in ``path``, whatever its layout.

    CSV and its relatives, the same within gzip, and Parquet are told apart by content.
    ``symbol`` names the bars of a file that does not say; otherwise its name has to.
    Raises ``BarsRefusedError`` naming file, line and reason for what cannot be read and for
    what could be read in two ways.
    """
    path, options = Path(path), options or Options()
    clock, parquet = Clock(path.name, options), container_of(path) == "parquet"
    layout, parts = (_parquet if parquet else _text)(path, options, clock)
    dates = clock.decide()
    bars = {}
    while parts:  # one symbol at a time, so that little is held twice
        own = next(iter(parts))
        bars[own] = clock.settled(pl.concat(parts.pop(own), how="vertical_relaxed", rechunk=True))
    columns = {role for _, roles in layout.series for role in roles}
    return Reading(
        name=path.name,
        digest=digest_of_file(path),
        layout=("Parquet, " if parquet else "") + layout.name,
        stamps=clock.stamps,
        dates=dates,
        has_volume="volume" in columns,
        has_adjusted="adjusted" in columns,
        bars=_named(path.name, bars, symbol),
    )


def _text(path: Path, options: Options, clock: Clock) -> tuple[Layout, Parts]:
    stream = blocks(path, options.limits)
    first = next(stream)
    lines = first.content[: options.limits.line].decode(errors="ignore").split("\n")[:HEADER_LINES]
    _bound_columns(path.name, max(map(lines[0].count, DELIMITERS)) + 1, options.limits)
    try:
        layout = recognise(lines)
    except BarsRefusedError as error:
        raise refuse(path.name, 1, str(error)) from error
    body = _without_header(first, layout.header_lines)
    rows, parts = 0, Parts()
    whole = itertools.chain([body] if body.content else [], stream)
    most = max(1, options.limits.cells // layout.width)
    for block in itertools.chain.from_iterable(split(one, most) for one in whole):
        cells = _cells(path.name, block, layout)
        rows += len(cells)
        _bound_rows(path.name, rows, options.limits)
        _bound_rows(path.name, rows * layout.width // LARGEST_WIDTH, options.limits)
        if len(cells):
            _distribute(path.name, _typed(path.name, layout, cells, clock), parts)
    if not rows:
        raise refuse(path.name, None, "it has a header and no bars")
    return layout, parts


def _distribute(name: str, table: pl.DataFrame, parts: Parts) -> None:
    """Add the rows of each symbol to its parts."""
    if table["symbol"].null_count():
        row = table.filter(pl.col("symbol").is_null())["row"][0]
        raise refuse(name, row, "the symbol is empty")
    found = table.partition_by("symbol", maintain_order=True, as_dict=True, include_key=False)
    for key, part in found.items():
        parts.setdefault(str(key[0]), []).append(part)


def _without_header(block: Block, lines: int) -> Block:
    start = 0
    for _ in range(lines):
        start = block.content.index(b"\n", start) + 1
    return Block(block.content[start:], block.first_line + lines)


def _cells(name: str, block: Block, layout: Layout) -> pl.DataFrame:
    """Return the cells of a block as text, with their lines, blank lines left out."""
    names = [f"c{place}" for place in range(layout.width)]
    try:
        cells = pl.read_csv(
            block.content,
            has_header=False,
            schema=dict.fromkeys(names, pl.String),
            separator=layout.delimiter,
            missing_columns="insert",
        )
    except pl.exceptions.PolarsError as error:
        raise _ragged(name, block, layout) from error
    end = block.first_line + len(cells)
    lines = pl.int_range(block.first_line, end, dtype=pl.UInt32, eager=True)
    cells = cells.with_columns(lines.alias("row"))
    return cells.filter(pl.any_horizontal(pl.col(names).is_not_null()))


def _ragged(name: str, block: Block, layout: Layout) -> BarsRefusedError:
    """Return the refusal of the first line that has more cells than the header."""
    mark = layout.delimiter.encode()
    for place, line in enumerate(block.content.split(b"\n")):
        if line.count(mark) >= layout.width or line.count(b'"') % 2:
            reason = f"it does not have the {layout.width} cells of the header"
            return refuse(name, block.first_line + place, reason)
    return refuse(name, block.first_line, "the lines from here on are no table")


def _parquet(path: Path, options: Options, clock: Clock) -> tuple[Layout, Parts]:
    try:
        lazy = pl.scan_parquet(path)
        schema = lazy.collect_schema()
        names = list(schema)
        _bound_columns(path.name, len(names), options.limits)
        _bound_rows(path.name, lazy.select(pl.len()).collect().item(), options.limits)
        layout = _parquet_layout(path.name, names)
        wanted = [name for place, name in enumerate(names) if place in _places(layout)]
        cells = lazy.select(wanted).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise refuse(
            path.name, None, f"it is no readable Parquet file ({_brief(error)})"
        ) from error
    if not len(cells):
        raise refuse(path.name, None, "it has columns and no bars")
    cells = cells.rename({name: f"c{names.index(name)}" for name in wanted})
    rows = pl.int_range(1, len(cells) + 1, dtype=pl.UInt32, eager=True).alias("row")
    parts = Parts()
    _distribute(path.name, _typed(path.name, layout, cells.with_columns(rows), clock), parts)
    return layout, parts


def _parquet_layout(name: str, names: list[str]) -> Layout:
    try:
        return layout_of(parquet_pairs(names))
    except BarsRefusedError as error:
        raise refuse(name, None, str(error)) from error


def _places(layout: Layout) -> set[int]:
    own = {place for _, roles in layout.series for place in roles.values()}
    return own | {p for p in (layout.time, layout.clock, layout.symbol) if p is not None}


def _brief(error: BaseException) -> str:
    return str(error).partition("\n")[0][:120]


def _bound_columns(name: str, columns: int, limits: Limits) -> None:
    if columns > limits.columns:
        raise refuse(name, None, f"it has {columns:,} columns; {limits.columns:,} are read at most")


def _bound_rows(name: str, rows: int, limits: Limits) -> None:
    if rows > limits.rows:
        raise refuse(name, None, f"it has more than {limits.rows:,} rows")


def _typed(name: str, layout: Layout, cells: pl.DataFrame, clock: Clock) -> pl.DataFrame:
    """Return row, symbol, time and the values of every series of a block, stacked."""
    times = clock.read(_stamps(layout, cells), cells["row"])
    parts = []
    for ticker, roles in layout.series:
        commas = layout.delimiter != ";"
        values = [_values(name, cells, (roles.get(role), role), commas=commas) for role in VALUES]
        symbols = _symbols(cells, layout, ticker)
        parts.append(pl.DataFrame([cells["row"], symbols, *times, *values]))
    table = pl.concat(parts)
    if len(parts) > 1:  # a wide table has empty cells where a symbol did not trade
        table = table.filter(~pl.all_horizontal(pl.col(VALUES).is_null()))
    return table


def _stamps(layout: Layout, cells: pl.DataFrame) -> pl.Series:
    stamps = cells[f"c{layout.time}"]
    if layout.clock is None:
        return stamps
    return stamps.str.strip_chars() + " " + cells[f"c{layout.clock}"].str.strip_chars()


def _symbols(cells: pl.DataFrame, layout: Layout, ticker: str | None) -> pl.Series:
    if ticker is None and layout.symbol is not None:
        own = cells[f"c{layout.symbol}"].cast(pl.String).str.strip_chars()
        return own.cast(pl.Categorical).alias("symbol")
    one = pl.repeat(ticker or "", len(cells), dtype=pl.String, eager=True)
    return one.cast(pl.Categorical).alias("symbol")


def _values(
    name: str, cells: pl.DataFrame, column: tuple[int | None, str], *, commas: bool
) -> pl.Series:
    """Return the numbers of a column, given by its place and role."""
    place, role = column
    if place is None:  # the adjusted close is rare: let its absence take no memory
        kind = pl.Null if role == "adjusted" else pl.Float64
        return pl.repeat(None, len(cells), dtype=kind, eager=True).alias(role)
    text = cells[f"c{place}"]
    if not text.dtype.is_numeric() and text.dtype != pl.String:
        raise refuse(name, None, f"the {role} is of type {text.dtype}, not a number")
    found = numbers(text, commas=commas)
    wrong = found.is_nan().arg_true()
    if len(wrong):
        odd = str(text[wrong[0]])[:40]
        raise refuse(name, cells["row"][wrong[0]], f"the {role} is {odd!r}, not a number")
    return found.alias(role)


def _named(name: str, found: dict[str, pl.DataFrame], symbol: str) -> dict[str, pl.DataFrame]:
    """Return the tables by symbol; ``symbol`` or the file's name helps where nothing says it."""
    if set(found) == {""}:
        found = {symbol or _symbol_in(name): found[""]}
    elif symbol:
        found = {symbol: _chosen(name, symbol, found)}
    for own in found:
        if not SYMBOL.fullmatch(own):
            raise refuse(name, None, f"{own[:40]!r} is no symbol")
    return found


def _chosen(name: str, symbol: str, found: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the table of ``symbol``, or the only one there is, which then bears its name."""
    if symbol in found or len(found) == 1:
        return found.get(symbol, next(iter(found.values())))
    listed = ", ".join(itertools.islice(found, 12))
    raise refuse(name, None, f"it has no {symbol}, only {listed}")


def _symbol_in(name: str) -> str:
    """Return the symbol that the name of a file states, for example ``daily_NVDA.csv.gz``."""
    stem = re.sub(r"(?i)\.(csv|tsv|txt|gz|parquet|pq)\b", "", name)
    words = [word for word in _words(stem) if not _NOT_A_SYMBOL.match(word)]
    if len(words) != 1 or not SYMBOL.fullmatch(words[0].upper()):
        raise refuse(name, None, "nothing says which symbol this is; give it as SYMBOL=PATH")
    return words[0].upper()


def _words(stem: str) -> Iterator[str]:
    for word in re.split(r"[_\s-]+", stem):
        yield re.sub(r"(?i)\.us$", "", word)
