"""The time stamps of one file: one way of writing them, found in the first and held to after."""

from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from stairways.market.cells import Stamp, known_zone, local_of, stamp_of, to_utc
from stairways.market.options import DateOrder, Options
from stairways.market.source import refuse

DAY = 86_400_000_000  # microseconds
EARLIEST = -2_208_988_800_000_000  # 1900-01-01
LATEST = 7_258_118_400_000_000  # 2200-01-01


def _nothing(like: pl.Series) -> pl.Series:
    """Return a column of the same length that takes no memory."""
    return pl.repeat(None, len(like), dtype=pl.Null, eager=True)


def _named(time: pl.Series, local: pl.Series, swapped: pl.Series) -> list[pl.Series]:
    return [time.alias("time"), local.alias("local"), swapped.alias("swapped")]


@dataclass(slots=True)
class Clock:
    """Reads the stamps of a file block by block and decides at the end what they are.

    ``stamps`` is ``dates`` when all of them are midnights of a wall clock, else ``instants``.
    """

    name: str
    options: Options
    stamps: Literal["dates", "instants"] = "instants"
    _form: Stamp | None = None
    _other: Stamp | None = None
    _kind: str = ""
    _sample: str = ""
    _first_row: int = 0
    _midnights: bool = True
    _alike: bool = True
    _swapped: bool = False
    _swaps: dict[DateOrder, bool] = field(
        default_factory=lambda: {"month-first": True, "day-first": True}
    )

    def read(self, column: pl.Series, rows: pl.Series) -> list[pl.Series]:
        """Return microseconds as ``time``, ``local`` (wall clock) and ``swapped`` (day first).

        The latter two are of type Null where they would say nothing more than ``time``.
        """
        if isinstance(column.dtype, pl.Datetime) or column.dtype == pl.Date:
            return self._typed(column, rows)
        if column.dtype.is_float():
            raise refuse(self.name, rows[0], "the time is a real number")
        return self._written(column.cast(pl.String), rows)

    def decide(self) -> str:
        """Settle what the stamps of the whole file are; return how a doubtful order was settled.

        Raises ``BarsRefusedError`` when day and month could be exchanged.
        """
        if self._kind == "date" or self._midnights:
            self.stamps = "dates"
        if self._other is None:
            return ""
        fitting = [order for order, fits in self._swaps.items() if fits]
        if len(fitting) == len(self._swaps) and not self._alike:
            reason = f"{self._sample!r} can be read in two ways; say dates day-first or month-first"
            raise refuse(self.name, self._first_row, reason)
        if not fitting:
            raise refuse(self.name, None, "its dates are partly day-first and partly month-first")
        self._swapped = fitting[0] == "day-first"
        return f"{fitting[0]}, since no other order fits every row"

    def settled(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return a table that ``read`` made with its final ``time`` in nanoseconds UTC."""
        time = table["swapped"] if self._swapped else table["time"]
        if self.stamps == "dates" and self._kind == "instant":
            time = table["local"]
        elif self.stamps == "instants" and self._kind == "naive":
            time = self._in_zone(time, table["row"])
        return table.drop("local", "swapped").with_columns((time * 1000).alias("time"))

    def _typed(self, column: pl.Series, rows: pl.Series) -> list[pl.Series]:
        """Read a column that is made of times already, as Parquet has them."""
        zone = column.dtype.time_zone if isinstance(column.dtype, pl.Datetime) else None
        self._kind = "date" if column.dtype == pl.Date else "instant" if zone else "naive"
        self._sample = str(column[0])
        time = column.cast(pl.Datetime("us", zone)).dt.timestamp("us")
        self._check(time, column, rows)
        local = column.dt.replace_time_zone(None).dt.timestamp("us") if zone else _nothing(time)
        self._midnights &= bool(((local if zone else time) % DAY == 0).all())
        return _named(time, local, _nothing(time))

    def _written(self, text: pl.Series, rows: pl.Series) -> list[pl.Series]:
        if self._form is None:
            self._recognise(text, rows)
        form, other = self._form, self._other
        assert form is not None  # noqa: S101 - _recognise sets it or refuses
        time = form.read(text)
        if other is None:
            self._check(time, text, rows)
            return self._sure(text, time, form)
        swapped = other.read(text)
        self._alike &= time.equals(swapped)
        self._midnights &= bool((time.fill_null(swapped) % DAY == 0).all())
        self._swaps["month-first"] &= not time.null_count()
        self._swaps["day-first"] &= not swapped.null_count()
        self._check(time.fill_null(swapped), text, rows)
        return _named(time, _nothing(time), swapped)

    def _sure(self, text: pl.Series, time: pl.Series, form: Stamp) -> list[pl.Series]:
        """Return a column that can be read in one way only."""
        if form.kind != "instant":
            self._midnights &= bool((time % DAY == 0).all())
            return _named(time, _nothing(time), _nothing(time))
        local = local_of(text, time) if self._midnights else _nothing(time)
        self._midnights &= self._midnights and bool((local % DAY == 0).all())
        return _named(time, local if self._midnights else _nothing(time), _nothing(time))

    def _recognise(self, text: pl.Series, rows: pl.Series) -> None:
        filled = text.drop_nulls()
        self._sample = str(filled[0])[:40] if len(filled) else ""
        self._first_row = rows[0]
        self._form = stamp_of(self._sample, self.options.dates)
        if self._form is None:
            raise refuse(self.name, rows[0], f"{self._sample!r} is no time in a known form")
        self._kind = self._form.kind
        self._other = None if self._form.ordered else stamp_of(self._sample, "day-first")

    def _check(self, time: pl.Series, shown: pl.Series, rows: pl.Series) -> None:
        wrong = (time.is_null() | (time < EARLIEST) | (time >= LATEST)).arg_true()
        if len(wrong):
            odd = str(shown[wrong[0]])[:40]
            reason = f"{odd!r} is no time from 1900 to 2199 like {self._sample!r}"
            raise refuse(self.name, rows[wrong[0]], reason)

    def _in_zone(self, time: pl.Series, rows: pl.Series) -> pl.Series:
        zone = self.options.timezone
        if zone is None:
            reason = f"{self._sample!r} has no time zone; say which one it is in"
            raise refuse(self.name, rows[0], reason)
        if not known_zone(zone):
            raise refuse(self.name, None, f"there is no time zone {zone!r}")
        utc = to_utc(time, zone)
        doubtful = utc.is_null().arg_true()
        if len(doubtful):
            reason = f"this hour does not exist, or occurs twice, in {zone}"
            raise refuse(self.name, rows[doubtful[0]], reason)
        return utc
