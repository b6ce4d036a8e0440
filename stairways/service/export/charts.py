"""Line charts as inline SVG: no script, no font, no request; colours come from the page."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 26
MOST_POINTS = 360
TICKS = 4
ROUND_TICKS = 6
MOST_WHOLE = 16


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart; ``kind`` is its class of the page's style: a, b, c, level or mark."""

    label: str
    kind: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, slots=True)
class Scale:
    """How one axis is shown: its ends, a value in words, whether round values are written."""

    low: float
    high: float
    words: Callable[[float], str]
    is_round: bool = True

    def share(self, value: float) -> float:
        """Return where a value lies between the ends, 0 to 1."""
        return (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5

    def ticks(self) -> list[float]:
        """Return the values that are written at the axis; few whole numbers all of them."""
        if float(self.low).is_integer() and 1 < self.high - self.low <= MOST_WHOLE:
            return [self.low + number for number in range(int(self.high - self.low) + 1)]
        if self.is_round and self.high > self.low:
            return _round_values(self.low, self.high)
        step = (self.high - self.low) / TICKS
        return [self.low + step * number for number in range(TICKS + 1)]


def _round_values(low: float, high: float) -> list[float]:
    """Return multiples of 1, 2, 2.5 or 5 times a power of ten between two values."""
    least = (high - low) / ROUND_TICKS
    power = 10.0 ** math.floor(math.log10(least))
    step = next(one * power for one in (1, 2, 2.5, 5, 10) if one * power >= least * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) + 0.0 for number in range(first, last + 1)]


def chart(
    title: str,
    lines: Sequence[Line],
    *,
    x: Callable[[float], str],
    y: Callable[[float], str],
    floor: float | None = None,
    in_time: bool = False,
) -> str:
    """Return a chart with a legend; nothing where there are no points.

    ``x`` and ``y`` write values of the axes; ``floor`` is a value the vertical axis shows.
    With ``in_time`` the horizontal one is of seconds, of which none are round.
    """
    shown = [line for line in lines if line.x]
    if not shown:
        return ""
    first, last = min(min(one.x) for one in shown), max(max(one.x) for one in shown)
    across = Scale(first, last, x, is_round=not in_time)
    lowest, highest = min(min(one.y) for one in shown), max(max(one.y) for one in shown)
    lowest, highest = (
        (min(lowest, floor), max(highest, floor))
        if floor is not None
        else (
            lowest,
            highest,
        )
    )
    room = (highest - lowest) * 0.05 or abs(highest) * 0.05 or 1.0
    up = Scale(lowest - room, highest + room, y)
    body = _grid(across, up) + "".join(_path(one, across, up) for one in shown)
    legend = "".join(
        f'<span><i class="{escape(one.kind)}"></i>{escape(one.label)}</span>' for one in shown
    )
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{body}</svg><figcaption>{escape(title)} <span class=legend>{legend}</span>"
        "</figcaption></figure>"
    )


def _grid(across: Scale, up: Scale) -> str:
    parts = []
    for value in up.ticks():
        place = _vertical(up, value)
        parts.append(f'<path class="grid" d="M{LEFT} {place:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">')
        parts.append(f"{escape(up.words(value))}</text>")
    for value in across.ticks():
        place = _horizontal(across, value)
        anchor = {across.low: "start", across.high: "end"}.get(value, "middle")
        parts.append(f'<text x="{place:.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">')
        parts.append(f"{escape(across.words(value))}</text>")
    return "".join(parts)


def _path(line: Line, across: Scale, up: Scale) -> str:
    points = [
        f"{_horizontal(across, x):.1f} {_vertical(up, y):.1f}"
        for x, y in _thinned(list(zip(line.x, line.y, strict=True)))
    ]
    if line.kind == "mark":
        return "".join(f'<path class="mark" d="M{point}v.01"/>' for point in points)
    return f'<path class="line {escape(line.kind)}" d="M{"L".join(points)}"/>'


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most ``MOST_POINTS`` points and both extremes of what lies between them."""
    every = -(-len(points) * 2 // MOST_POINTS)
    if every <= 2:  # noqa: PLR2004 - nothing lies between
        return points
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), every):
        part = points[start : start + every]
        kept += sorted({min(part, key=_height), max(part, key=_height)})
    return [points[0], *kept, points[-1]]


def _height(point: tuple[float, float]) -> float:
    return point[1]


def _horizontal(scale: Scale, value: float) -> float:
    return LEFT + scale.share(value) * (WIDTH - LEFT - RIGHT)


def _vertical(scale: Scale, value: float) -> float:
    return HEIGHT - BOTTOM - scale.share(value) * (HEIGHT - TOP - BOTTOM)
