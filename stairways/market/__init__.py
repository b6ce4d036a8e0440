"""Market data: layouts, health, calendars, alignment, canonical content.

The names below are the room's face. They are imported on first use, so that reading bars
back from the log needs numpy only and start-up stays quick.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stairways.market.adjustment import Split
    from stairways.market.aligned import Aligned
    from stairways.market.bars import Bars, to_micros
    from stairways.market.canonical import decode_bars, encode_bars
    from stairways.market.findings import Finding
    from stairways.market.loading import load_bars
    from stairways.market.options import Options
    from stairways.market.reader import Reading, read_file
    from stairways.market.simulation import simulate

__all__ = [
    "Aligned",
    "Bars",
    "Finding",
    "Options",
    "Reading",
    "Split",
    "decode_bars",
    "encode_bars",
    "load_bars",
    "read_file",
    "simulate",
    "to_micros",
]

_HOMES = {
    "Aligned": "aligned",
    "Bars": "bars",
    "Finding": "findings",
    "Options": "options",
    "Reading": "reader",
    "Split": "adjustment",
    "decode_bars": "canonical",
    "encode_bars": "canonical",
    "load_bars": "loading",
    "read_file": "reader",
    "simulate": "simulation",
    "to_micros": "bars",
}


def __getattr__(name: str) -> object:
    """Import the home of a public name and return what it names."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
