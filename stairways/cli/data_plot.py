"""A picture of bars: closes on a logarithmic scale, volume below, findings marked."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stairways.errors import BarsRefusedError

if TYPE_CHECKING:
    import polars as pl

    from stairways.market.findings import Finding

Drawn = tuple["pl.DataFrame", str, Sequence["Finding"]]

MOST_POINTS = 4000
HEIGHT, WIDTH = 3.4, 11.0  # inches
FORMATS = (".png", ".svg")
MARKS = "ovs^DPX*<>"


def draw(path: Path, series: Sequence[Drawn], note: str = "") -> None:
    """Draw each series with its findings into ``path``, PNG or SVG by its ending.

    ``note`` stands in every title. Findings without a time are not drawn.
    """
    if path.suffix not in FORMATS:
        raise BarsRefusedError(f"{path}: a plot ends in {' or '.join(FORMATS)}.")
    figure = _figure(len(series))
    for place, (table, symbol, findings) in enumerate(series):
        prices, volume = figure.axes[2 * place : 2 * place + 2]
        _draw_prices(prices, table, findings)
        _draw_volume(volume, table)
        prices.set_title(" ".join(filter(None, (symbol, note))), loc="left", fontweight="bold")
    try:
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)
    except OSError as error:
        raise BarsRefusedError(f"{path} cannot be written: {error.strerror}.") from error


def _figure(count: int) -> Any:  # noqa: ANN401 - matplotlib is an extra
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise BarsRefusedError("A plot needs an extra: pip install 'stairways[plot]'.") from error
    figure = Figure(figsize=(WIDTH, HEIGHT * count), layout="constrained")
    figure.subplots(2 * count, 1, height_ratios=[4, 1] * count)
    for place in range(count):
        prices, volume = figure.axes[2 * place : 2 * place + 2]
        volume.sharex(prices)
        prices.tick_params(labelbottom=False)
        for axes in (prices, volume):
            axes.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_prices(axes: Any, table: "pl.DataFrame", findings: Sequence["Finding"]) -> None:  # noqa: ANN401 - matplotlib is an extra
    from matplotlib.ticker import LogLocator, NullFormatter  # noqa: PLC0415 - slow to import

    thin = table.gather_every(max(1, len(table) // MOST_POINTS))
    axes.plot(_times(thin["time"]), thin["close"].to_numpy(), color="#205080", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_ylabel("close, USD")
    axes.grid(visible=True, which="both", axis="y", color="#e8e8e8", linewidth=0.5)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    kinds = dict.fromkeys(f.kind for f in findings if f.time is not None)
    for place, kind in enumerate(kinds):
        _mark(axes, table, [f for f in findings if f.kind == kind], (kind, place))
    if kinds:
        axes.legend(
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            borderaxespad=0.2,
            ncols=len(kinds),
            fontsize="small",
            frameon=False,
        )


def _mark(
    axes: Any,  # noqa: ANN401 - matplotlib is an extra
    table: "pl.DataFrame",
    findings: Sequence["Finding"],
    label: tuple[str, int],
) -> None:
    """Mark findings of one kind at the close of their bar, or of the one before."""
    import polars as pl  # noqa: PLC0415 - help starts in a blink

    kind, place = label
    times = pl.DataFrame({"time": sorted(f.time for f in findings if f.time is not None)})
    marked = times.join_asof(table.select("time", "close").sort("time"), on="time").drop_nulls()
    axes.plot(
        _times(marked["time"]),
        marked["close"].to_numpy(),
        linestyle="none",
        marker=MARKS[place % len(MARKS)],
        color=f"C{place + 1}",
        markersize=5,
        label=f"{kind} ({sum(f.count for f in findings):,})",
    )


def _draw_volume(axes: Any, table: "pl.DataFrame") -> None:  # noqa: ANN401 - matplotlib is an extra
    """Draw the largest volume of each stretch, so that none disappears."""
    import polars as pl  # noqa: PLC0415 - help starts in a blink

    step = max(1, len(table) // MOST_POINTS)
    stretches = table.group_by(pl.int_range(pl.len()) // step, maintain_order=True)
    largest = stretches.agg(pl.col("time").first(), pl.col("volume").fill_null(0.0).max())
    axes.fill_between(
        _times(largest["time"]), largest["volume"].to_numpy(), color="#9ab", linewidth=0
    )
    axes.set_ylabel("volume")
    axes.ticklabel_format(axis="y", style="plain")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value / 1e6:,g}M")


def _times(times: "pl.Series") -> Any:  # noqa: ANN401 - an array of times
    return times.to_numpy().astype("datetime64[ns]")
